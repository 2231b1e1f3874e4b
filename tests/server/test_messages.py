"""Messages: what is read from bodies, and that any body is read or refused."""

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_server.body import parse_json, unpack
from alpha_server.errors import RefusedError
from alpha_server.messages import Complete, Events, Heartbeat, Metrics, RunStart, Samples, parse_messages
from alpha_server.storage import rows_of

RUN = "20260101000000_abcd"
TIME = "2026-01-01T00:00:00.000001+00:00"
LIMIT = 1 << 20


def read(body: bytes, encoding: str = "identity", limit: int = LIMIT) -> list[Any]:
    return parse_messages(parse_json(unpack(body, {"content-encoding": encoding}, limit)))


def read_or_refused(body: bytes, encoding: str) -> list[Any] | int:
    """The messages, or the status with which the body is refused."""
    try:
        return read(body, encoding, limit=4096)
    except RefusedError as error:
        return error.status


def message(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "runId": RUN, **fields}


def test_every_type_of_message() -> None:
    event = {"step": 1, "level": "warning", "kind": "k", "message": "m", "payload": {"a": 1}, "time": TIME}
    parsed = parse_messages(
        [
            message(
                "run_start",
                domain="novels",
                modelConfig={"n_layer": 2},
                trainConfig={"iters": 5},
                totalParams=7,
                infra={"hostname": "h"},
                unheardOf=1,
            ),
            message("metrics", metrics=[{"step": 1, "loss": 2.5}, {"step": 2, "loss": None}]),
            message("heartbeat", step=3),
            message("samples", step=4, samples=[{"idx": 5, "prompt": "p", "output": "o", "time": TIME}]),
            message("event", event=event),
            message("events", events=[event, event]),
            message("complete", finalStep=5, status="failed", summary={"error": "e"}),
        ]
    )
    start, metrics, heartbeat, samples, one, two, complete = parsed
    assert isinstance(start, RunStart)
    assert start.config == {"domain": "novels", "model": {"n_layer": 2}, "train": {"iters": 5}}
    assert (start.parameters, start.infra, start.folder) == (7, {"hostname": "h"}, None)
    assert metrics == Metrics(run_id=RUN, rows=({"step": 1, "loss": 2.5}, {"step": 2, "loss": None}))
    assert heartbeat == Heartbeat(run_id=RUN, step=3)
    assert isinstance(samples, Samples)
    assert [(place, s.prompt, s.output, s.time) for place, s in samples.samples] == [(5, "p", "o", TIME)]
    assert isinstance(one, Events)
    assert isinstance(two, Events)
    assert one.events == two.events[:1] == two.events[1:]
    assert (one.events[0].time, one.events[0].payload) == (TIME, {"a": 1})
    assert complete == Complete(run_id=RUN, final_step=5, status="failed", error="e")


def test_the_messages_of_the_first_alpha_are_taken() -> None:
    start, metrics, complete = (
        parse_messages(value)[0]
        for value in (
            message("run_start", domain="novels", modelConfig={}, trainConfig={}, totalParams=1, infra=None),
            message("metrics", metrics=[{"step": 1}]),
            message("complete", finalStep=1),
        )
    )
    assert isinstance(start, RunStart)
    assert isinstance(metrics, Metrics)
    assert complete == Complete(run_id=RUN, final_step=1, status="completed", error=None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (5, "message 0: it is no object"),
        ([message("heartbeat", step=1), None], "message 1: it is no object"),
        (message("unknown"), "its `type` is none of run_start, metrics, "),
        ({"type": ["metrics"], "runId": RUN}, "its `type` is none of"),
        ({"type": "heartbeat", "step": 1}, "`runId` must be"),
        (message("heartbeat", step=1) | {"runId": "../../etc"}, "`runId` must be"),
        (message("heartbeat", step=1) | {"runId": "a" * 129}, "`runId` must be"),
        (message("heartbeat", step=1) | {"runId": "run."}, "`runId` must be"),
        (message("heartbeat", step=1) | {"runId": "alpha.db-wal"}, "`runId` must be"),
        (message("heartbeat", step=-1), "`step` must be an integer"),
        (message("heartbeat", step=True), "`step` must be an integer"),
        (message("heartbeat", step=1.0), "`step` must be an integer"),
        (message("heartbeat", step=2**63), "integers must fit into 64 bits"),
        (message("metrics", metrics={}), "`metrics` must be a list"),
        (message("metrics", metrics=[5]), "`metrics` must hold objects"),
        (message("metrics", metrics=[{"loss": 1.0}]), "`step` must be an integer"),
        (message("metrics", metrics=[{"step": 1, "x" * 129: 1}]), "names of up to 128 characters"),
        (message("metrics", metrics=[{"step": 1, "large": 10**400}]), "integers must fit into 64 bits"),
        (message("metrics", metrics=[{"step": 1}] * 5001), "a list of up to 5000 items"),
        (message("samples", step=1, samples=[{"prompt": 5, "output": ""}]), "`prompt` must be a text"),
        (message("event", event=[]), "`event` must be an object"),
        (message("event", event={"kind": "", "step": 1}), "`kind` must have 1 to 128"),
        (message("event", event={"kind": "k", "step": 1, "level": "loud"}), "`level` must be one of"),
        (message("event", event={"kind": "k", "step": 1, "time": "2026-02-31T00:00:00Z"}), "`time` must be a time"),
        (message("event", event={"kind": "k", "step": 1, "time": "0001-01-01T00:00:00+14:00"}), "`time` must be"),
        (message("complete", status="active"), "`status` must say how a run ended"),
        (message("run_start", modelConfig=[], trainConfig={}), "`modelConfig` must be an object"),
        ([message("heartbeat", step=1)] * 1001, "a body may have 1000 messages"),
    ],
)
def test_what_is_wrong_is_named(value: Any, reason: str) -> None:
    with pytest.raises(RefusedError) as raised:
        parse_messages(value)
    assert raised.value.status == 400
    assert reason in str(raised.value)


def test_deep_nesting_is_refused_wherever_it_is() -> None:
    value: Any = 0
    for _ in range(40):
        value = [value]
    with pytest.raises(RefusedError, match="nested more than 32 levels deep"):
        parse_messages(message("metrics", metrics=[{"step": 1, "deep": value}]))
    with pytest.raises(RefusedError, match="the body is no JSON: it is nested too deeply"):
        read(b"[" * 500_000)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is no JSON"),
        (b"{", "the body is no JSON"),
        (b'{"a": NaN}', "`NaN` is no JSON"),
        (b'{"a": -Infinity}', "`-Infinity` is no JSON"),
        (b'"\xff"', "the body is no JSON"),
        (b"1" * 5000, "the body is no JSON"),
    ],
)
def test_what_is_no_json_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as raised:
        read(body)
    assert raised.value.status == 400


def test_gzip_is_unpacked_and_damage_noticed() -> None:
    body = gzip.compress(json.dumps(message("heartbeat", step=1)).encode())
    assert read(body, "gzip") == [Heartbeat(run_id=RUN, step=1)]
    for damaged, reason in [(b"no gzip", "no gzip"), (body[:-1], "cut off"), (body + b"more", "something follows")]:
        with pytest.raises(RefusedError, match=reason) as raised:
            read(damaged, "gzip")
        assert raised.value.status == 400
    with pytest.raises(RefusedError, match="gzip, and with nothing else") as raised:
        read(body, "br")
    assert raised.value.status == 415


def test_a_gzip_bomb_costs_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(b"0" * 200_000_000, compresslevel=9)
    assert len(bomb) < 250_000
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match="unpacked, a body may have 1048576 bytes") as raised:
            read(bomb, "gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raised.value.status == 413
    assert peak < 4 * LIMIT


_VALID = [
    message(
        "run_start",
        domain="d",
        modelConfig={"n_layer": 2},
        trainConfig={"lr": 1.0},
        totalParams=1,
        infra={"hostname": "h"},
        time=TIME,
    ),
    message("metrics", metrics=[{"step": 1, "loss": 2.5, "per_layer_grad_norms": {"wte": 1.0}}, {"step": 2}]),
    message("heartbeat", step=1),
    message("samples", step=1, samples=[{"idx": 0, "prompt": "p", "output": "o", "time": TIME}]),
    message("events", events=[{"step": 1, "level": "info", "kind": "checkpoint_saved", "message": "m", "time": TIME}]),
    message("complete", finalStep=1, status="failed", summary={"error": "e"}),
]
_ODD: list[Any] = [
    *(None, True, 0, -1, 2**63, -(2**63), 10**30, 1.5, -0.0, 1e308, float("inf"), float("nan")),
    *("", "x" * 200, "\0", "\ud800", "../..", "2026-13-01T00:00:00Z", "metrics", "completed"),
    *([], {}, [[]], {"": None}, [0] * 20, {"step": 1}, {"a": {"b": {"c": []}}}),
]


def mutated(instructions: bytes) -> bytes:
    """A body that a few bytes describe: messages with other values in places, then perhaps other bytes in places."""
    value: Any = json.loads(json.dumps(_VALID[: 1 + instructions[0] % len(_VALID)]))
    for where, what in zip(instructions[2::2], instructions[3::2], strict=False):
        holders: list[tuple[Any, Any]] = []
        waiting = [value]
        for holder in waiting:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            holders += [(holder, key) for key in keys]
            waiting += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
        if holders:
            holder, key = holders[where % len(holders)]
            holder[key] = json.loads(json.dumps(_ODD[what % len(_ODD)]))
    body = bytearray(json.dumps(value).encode())
    if instructions[1] % 3 == 0:
        for where, what in zip(instructions[2::2], instructions[3::2], strict=False):
            body[where * 7 % len(body)] = what
    return gzip.compress(body, 1) if instructions[1] % 5 == 0 else bytes(body)


@settings(max_examples=10_000, database=None)
@given(st.binary(min_size=2, max_size=12))
def test_any_body_is_read_or_refused(instructions: bytes) -> None:
    for body in (instructions, mutated(instructions)):
        messages = read_or_refused(body, "gzip" if body[:1] == b"\x1f" else "identity")
        if isinstance(messages, int):
            assert messages in (400, 413)
            continue
        for row in (row for parsed in messages for row in rows_of(parsed)):
            assert row.values["run_id"] is not None
            assert all(type(value) in (int, float, str, type(None)) for value in row.values.values())
            json.dumps([*row.values.values()], allow_nan=False).encode()


@settings(max_examples=300, database=None)
@given(st.data())
def test_any_damage_to_a_gzip_is_refused_or_harmless(data: st.DataObject) -> None:
    body = bytearray(gzip.compress(json.dumps([message("heartbeat", step=1)]).encode(), mtime=0))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    assert read_or_refused(bytes(body), "gzip") in (400, 413, [Heartbeat(run_id=RUN, step=1)])
