"""Checkpoint files: exact, readable by the original rules, and never trusted before they are checked."""

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_core.errors import CheckpointError
from alpha_train.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

SEED = random.Random(0)


def make_checkpoint(**changes: Any) -> Checkpoint:
    generator = np.random.default_rng(1)

    def array(*shape: int) -> npt.NDArray[np.float32]:
        return generator.standard_normal(shape).astype(np.float32)

    content: dict[str, Any] = {
        "step": 12,
        "optimizer_step": 11,
        "model_config": {"n_layer": 2, "activation": "gelu"},
        "train_config": {"lr": 0.001, "data": "bücher"},
        "config_hash": "0123456789abcdef",
        "seed": 2**63 - 1,
        "tokenizer_artifacts": {"type": "char", "vocab": ["a", "é", "\ud800"]},
        "extra": {"best": [1, None, True]},
        "parameters": {"wte": array(5, 3), "layer.0.ln1.weight": array(3), "empty": array(0, 4), "scalar": array()},
        "optimizer_state": {
            "wte": {"m": array(5, 3), "v": array(5, 3)},
            "layer.0.ln1.weight": {"m": array(3), "v": array(3)},
        },
    }
    return Checkpoint(**{**content, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint-12.alph"


def arrays_of(checkpoint: Checkpoint) -> dict[str, npt.NDArray[Any]]:
    return {
        **{f"p.{name}": array for name, array in checkpoint.parameters.items()},
        **{
            f"o.{name}.{slot}": array
            for name, slots in checkpoint.optimizer_state.items()
            for slot, array in slots.items()
        },
    }


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    for field in ("step", "optimizer_step", "model_config", "train_config", "config_hash", "seed", "extra"):
        assert getattr(one, field) == getattr(other, field)
    assert one.tokenizer_artifacts == other.tokenizer_artifacts
    assert one.activation_graph == other.activation_graph
    left, right = arrays_of(one), arrays_of(other)
    assert list(left) == list(right)
    for name, array in left.items():
        assert array.dtype == right[name].dtype
        assert array.shape == right[name].shape
        assert array.tobytes() == right[name].tobytes()


def test_what_is_written_is_read_bit_for_bit(path: Path) -> None:
    checkpoint = make_checkpoint(activation_graph={"basis": "silu"})
    write_checkpoint(path, checkpoint)
    read = read_checkpoint(path)
    assert_same(read, checkpoint)
    assert read.notes == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_float_is_kept(path: Path, dtype: type) -> None:
    values: npt.NDArray[Any] = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, np.finfo(dtype).max, 1 / 3], dtype)
    write_checkpoint(path, make_checkpoint(parameters={"x": values}, optimizer_state={}))
    read = read_checkpoint(path).parameters["x"]
    assert read.dtype == dtype
    assert read.tobytes() == values.tobytes()


def test_arrays_of_any_memory_layout_are_kept(path: Path) -> None:
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    parameters = {"t": base.T, "sliced": base[:, ::2], "big": base.astype(">f4")}
    write_checkpoint(path, make_checkpoint(parameters=parameters, optimizer_state={}))
    read = read_checkpoint(path).parameters
    for name, array in parameters.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype.isnative


def read_by_the_original_rules(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    """What the first version of Alpha did with a file."""
    data = path.read_bytes()
    assert data[:4] == b"ALPH"
    (length,) = struct.unpack("<I", data[4:8])
    header = json.loads(data[8 : 8 + length].decode("utf-8"))
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    place = 8 + length
    for entry in header["tensors"]:
        tensors[entry["name"]] = np.frombuffer(data, "<f4", entry["elements"], place).reshape(entry["shape"])
        place += 4 * entry["elements"]
    assert place == len(data)
    return header, tensors


def test_a_file_is_readable_by_the_original_rules(path: Path) -> None:
    checkpoint = make_checkpoint()
    write_checkpoint(path, checkpoint)
    header, tensors = read_by_the_original_rules(path)
    assert header["modelConfig"] == checkpoint.model_config
    assert header["configHash"] == checkpoint.config_hash
    assert header["rngState"] == {"seed": 2**63 - 1, "step": 12}
    assert (header["step"], header["optimizerStep"], header["formatVersion"]) == (12, 11, 2)
    assert header["tokenizerArtifacts"] == checkpoint.tokenizer_artifacts
    assert list(tensors)[:2] == ["p.wte", "p.layer.0.ln1.weight"]
    assert list(tensors)[-2:] == ["o.layer.0.ln1.weight.m", "o.layer.0.ln1.weight.v"]
    for name, array in arrays_of(checkpoint).items():
        np.testing.assert_array_equal(tensors[name], array)


def original_header(**changes: Any) -> dict[str, Any]:
    header: dict[str, Any] = {
        "modelConfig": {"nLayer": 1},
        "configHash": "abc",
        "rngState": 42,
        "step": 3,
        "tokenizerArtifacts": None,
        "optimizerStep": 3,
        "tensors": [
            {"name": "p.wte", "shape": [2, 2], "elements": 4},
            {"name": "o.wte.m", "shape": [2, 2], "elements": 4},
        ],
    }
    return {key: value for key, value in {**header, **changes}.items() if value is not ...}


def write_original(path: Path, header: Any, payload: bytes = bytes(range(32))) -> None:
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(b"ALPH" + struct.pack("<I", len(data)) + data + payload)


def test_an_original_file_is_read_with_a_note(path: Path) -> None:
    write_original(path, original_header())
    checkpoint = read_checkpoint(path)
    assert checkpoint.parameters["wte"].tobytes() == bytes(range(16))
    assert checkpoint.optimizer_state["wte"]["m"].tobytes() == bytes(range(16, 32))
    assert (checkpoint.step, checkpoint.seed, checkpoint.tokenizer_artifacts) == (3, None, None)
    assert "no checksums" in checkpoint.notes[0]


def test_the_header_can_be_read_alone(path: Path) -> None:
    checkpoint = make_checkpoint()
    write_checkpoint(path, checkpoint)
    read = read_checkpoint(path, tensors=False)
    assert (read.step, read.model_config, dict(read.parameters)) == (12, checkpoint.model_config, {})


def test_every_truncation_is_noticed(path: Path) -> None:
    write_checkpoint(path, make_checkpoint())
    data = path.read_bytes()
    for length in [*range(12), *(SEED.randrange(len(data)) for _ in range(200)), len(data) - 1]:
        path.write_bytes(data[:length])
        for tensors in (True, False):
            with pytest.raises(CheckpointError) as caught:
                read_checkpoint(path, tensors=tensors)
            assert "\n" not in caught.value.message


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    write_checkpoint(path, make_checkpoint())
    data = path.read_bytes()
    for bit in [*range(64), *(SEED.randrange(8 * len(data)) for _ in range(200)), 8 * len(data) - 1]:
        path.write_bytes(flipped(data, bit))
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        assert "\n" not in caught.value.message


def test_every_flipped_bit_of_the_header_is_noticed_without_the_payload(path: Path) -> None:
    write_checkpoint(path, make_checkpoint(parameters={"w": np.zeros(2, np.float32)}, optimizer_state={}))
    data = path.read_bytes()
    end = data.index(b"}", data.index(b"headerSha256")) + 1
    for bit in [*(SEED.randrange(8 * end) for _ in range(200)), *range(8 * end - 400, 8 * end)]:
        path.write_bytes(flipped(data, bit))
        with pytest.raises(CheckpointError):
            read_checkpoint(path, tensors=False)


def test_appended_bytes_are_noticed(path: Path) -> None:
    write_checkpoint(path, make_checkpoint())
    with open(path, "ab") as file:
        file.write(b"\0")
    with pytest.raises(CheckpointError, match="bytes instead of"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b"", b"ALP", b"ALPH", b"\x80\x04pickle", b"ALPH\xff\xff\xff\xff", b"ALPH\x02\0\0\0{}"]
)
def test_what_is_no_checkpoint_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is no checkpoint that can be used"):
        read_checkpoint(path)


def entry(**changes: Any) -> dict[str, Any]:
    return {"name": "p.wte", "shape": [8], "elements": 8, **changes}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"[1]", "no JSON object"),
        (b"\xff{}", "no valid JSON"),
        (b"[" * 200_000, "no valid JSON"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"step": NaN}', "no valid JSON"),
        (b'{"step": ' + b"9" * 5000 + b"}", "no valid JSON"),
        (original_header(tensors=...), "no list `tensors`"),
        (original_header(tensors=[1]), "no JSON object"),
        (original_header(tensors=[entry(name=7)]), "has no name"),
        (original_header(tensors=[entry(name="")]), "has no name"),
        (original_header(tensors=[entry(name="p.a\nb")]), "none that can be printed"),
        (original_header(tensors=[entry(elements=4, shape=[4]), entry(elements=4, shape=[4])]), "have one name"),
        (original_header(tensors=[entry(shape=[-8])]), "no list of lengths"),
        (original_header(tensors=[entry(shape=[-2, -4])]), "no list of lengths"),
        (original_header(tensors=[entry(shape=[True, 8])]), "no list of lengths"),
        (original_header(tensors=[entry(shape=[8.0])]), "no list of lengths"),
        (original_header(tensors=[entry(shape=8)]), "no list of lengths"),
        (original_header(tensors=[entry(shape=[1] * 40 + [8])]), "no list of lengths"),
        (original_header(tensors=[entry(shape=[2**64])]), "no list of lengths"),
        (original_header(tensors=[entry(shape=[2**40, 2**40], elements=2**80)]), "too large"),
        (original_header(tensors=[entry(shape=[0, 2**40, 2**40], elements=0)]), "too large"),
        (original_header(tensors=[entry(shape=[2**40], elements=2**40)]), "bytes instead of"),
        (original_header(tensors=[entry(elements=9)]), "not the product of its shape"),
        (original_header(tensors=[entry(elements=8.0)]), "not the product of its shape"),
        (original_header(tensors=[entry(dtype="f16")]), "unknown dtype"),
        (original_header(tensors=[entry(dtype=[])]), "unknown dtype"),
        (original_header(tensors=[entry(name="wte")]), "belongs to no parameter"),
        (original_header(tensors=[entry(name="o.wte.m")]), "belongs to no parameter"),
        (original_header(step=...), "no valid `step`"),
        (original_header(step=-1), "no valid `step`"),
        (original_header(step=True), "no valid `step`"),
        (original_header(optimizerStep=1.0), "no valid `optimizerStep`"),
        (original_header(modelConfig=[]), "no valid `modelConfig`"),
        (original_header(tokenizerArtifacts="char"), "no valid `tokenizerArtifacts`"),
        (original_header(configHash=None), "no valid `configHash`"),
        (original_header(formatVersion=2), "no valid checksum"),
        (original_header(formatVersion=3), "no valid checksum"),
    ],
)
def test_a_malformed_header_is_refused_with_the_reason(path: Path, header: Any, reason: str) -> None:
    write_original(path, header)
    with pytest.raises(CheckpointError, match=reason) as caught:
        read_checkpoint(path)
    assert "\n" not in caught.value.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=5), values, max_size=4),
    max_leaves=8,
)
keys = st.sampled_from(["modelConfig", "configHash", "rngState", "step", "tensors", "formatVersion", "extra"])
entries = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["p.a", "o.a.m", "o.", "p.", "x", "p.\n"]) | json_values,
        "shape": st.lists(st.integers(-2, 9) | st.integers(), max_size=4) | json_values,
        "elements": st.integers(0, 64) | json_values,
        "dtype": st.sampled_from(["f32", "f64"]) | json_values,
    },
)


@given(st.dictionaries(keys, json_values), st.lists(entries, max_size=3) | st.none(), st.binary(max_size=64))
def test_any_header_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], tensors: Any, payload: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.alph"
    header = original_header(**changes)
    if tensors is not None:
        header["tensors"] = tensors
    write_original(path, header, payload)
    try:
        checkpoint = read_checkpoint(path)
    except CheckpointError as error:
        assert "\n" not in error.message  # noqa: PT017 (either outcome is right)
    else:
        assert sum(array.nbytes for array in arrays_of(checkpoint).values()) == len(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.alph"
    path.write_bytes(b"ALPH" + data)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert "\n" not in caught.value.message


shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
slots = st.dictionaries(st.sampled_from(["m", "v", "row"]), shapes, max_size=2)
names = st.text("abc.0", min_size=1, max_size=6)


@settings(max_examples=50)
@given(st.dictionaries(names, st.tuples(shapes, slots), max_size=4), st.dictionaries(st.text(), json_values))
def test_any_checkpoint_round_trips(
    tmp_path_factory: pytest.TempPathFactory,
    parameters: dict[str, tuple[tuple[int, ...], dict[str, tuple[int, ...]]]],
    extra: dict[str, Any],
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.alph"
    checkpoint = make_checkpoint(
        parameters={name: np.ones(shape, np.float32) for name, (shape, _) in parameters.items()},
        optimizer_state={
            name: {slot: np.zeros(shape, np.float32) for slot, shape in slots.items()}
            for name, (_, slots) in parameters.items()
            if slots
        },
        extra=extra,
    )
    write_checkpoint(path, checkpoint)
    assert_same(read_checkpoint(path), checkpoint)


def test_a_file_of_a_newer_version_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("alpha_train.checkpoint_format.FORMAT_VERSION", 3)
        write_checkpoint(path, make_checkpoint())
    with pytest.raises(CheckpointError, match="format version 3, and this Alpha reads up to 2"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": {"path": Path("x")}},
        {"extra": {"loss": float("nan")}},
        {"parameters": {"wte": np.zeros(3, np.int64)}},
        {"parameters": {"w\n": np.zeros(3, np.float32)}, "optimizer_state": {}},
        {"optimizer_state": {"other": {"m": np.zeros(3, np.float32)}}},
        {"optimizer_state": {"wte": {"m.v": np.zeros(3, np.float32)}}},
    ],
)
def test_what_the_format_cannot_hold_is_refused_and_the_old_file_stands(path: Path, changes: dict[str, Any]) -> None:
    write_checkpoint(path, make_checkpoint())
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="cannot be"):
        write_checkpoint(path, make_checkpoint(**changes))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_folder_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be written: No such file or directory"):
        write_checkpoint(tmp_path / "nowhere" / "c.alph", make_checkpoint())
    with pytest.raises(CheckpointError, match=r"there is no checkpoint `.*c.alph`"):
        read_checkpoint(tmp_path / "c.alph")
    with pytest.raises(CheckpointError, match=r"cannot be read: Is a directory"):
        read_checkpoint(tmp_path)


def test_a_process_killed_while_writing_leaves_the_old_file(path: Path) -> None:
    write_checkpoint(path, make_checkpoint(step=1))
    code = (
        "import os, sys, numpy\n"
        "from pathlib import Path\n"
        "from alpha_train.atomic_file import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as file:\n"
        "    file.write(b'ALPH' * 10_000)\n"
        "    file.flush()\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert result.returncode == -9
    assert read_checkpoint(path).step == 1
    assert len(os.listdir(path.parent)) == 2
