"""Discord: what is posted, and how much of it Discord has to take."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from tests.report.fake_server import FakeServer, Received, Reply

from alpha_core.errors import ConfigError
from alpha_core.observer import RunInfo, Sample
from alpha_report.discord_sink import DiscordSink
from alpha_report.webhook import Webhook
from alpha_testkit import SinkConformance

TOKEN = "/webhooks/1/very-secret-token"


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with FakeServer(lambda request: Reply(204)) as server:
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", server.url + TOKEN)
        yield server


class TestDiscord(SinkConformance):
    sink_class = DiscordSink

    @pytest.fixture(autouse=True)
    def _discord(self, discord: FakeServer) -> None:
        pass


def embeds(server: FakeServer) -> list[dict[str, Any]]:
    return [embed for request in server.requests for embed in request.json["embeds"]]


def values(embed: dict[str, Any]) -> dict[str, str]:
    return {field["name"]: field["value"] for field in embed["fields"]}


def test_start_samples_and_end_are_posted(discord: FakeServer, run: RunInfo) -> None:
    sink = DiscordSink(run)
    sink.on_start(run)
    sink.on_step({"step": 1, "loss": 2.0, "valLoss": 2.5})
    sink.on_step({"step": 2, "loss": 1.5})
    sink.on_samples(2, [Sample(prompt="@everyone ", output="```look`"), Sample(prompt="", output="b")])
    sink.on_finish({"status": "early_stopped", "step": 2, "loss": 1.5, "bestValLoss": 2.5, "bestStep": 1})
    sink.close()
    assert {request.path for request in discord.requests} == {TOKEN}
    start, samples, end = embeds(discord)
    assert start["title"] == f"{run.run_id} starts"
    assert values(start) == {
        "Parameters": "1,234",
        "Steps": "40",
        "Model": "2 layers, 16 wide",
        "Training": "0.1 learning rate",
        "Domain": "novels",
        "Backend": "cpu_ref (numpy)",
    }
    assert samples["title"] == f"{run.run_id} at step 2 of 40"
    assert values(samples)["Loss"] == "1.5000"
    assert values(samples)["Validation loss"] == "2.5000"
    assert values(samples)["Sample 1"].startswith("```\n@everyone ")
    assert values(samples)["Sample 1"].count("`") == 6
    assert end["title"] == f"{run.run_id} early stopped at step 2"
    assert values(end)["Best validation loss"] == "2.5000 at step 1"
    assert all(request.json["allowed_mentions"] == {"parse": []} for request in discord.requests)


def test_embeds_keep_within_the_lengths_that_discord_takes(discord: FakeServer, run: RunInfo) -> None:
    sink = DiscordSink(run)
    sink.on_samples(1, [Sample(prompt="p" * 3000, output="o" * 3000)] * 9)
    sink.on_finish({"status": "failed", "step": 1, "error": "e" * 9000})
    sink.close()
    for embed in embeds(discord):
        assert len(embed["title"]) <= 256
        assert len(embed["fields"]) <= 25
        assert all(0 < len(field["value"]) <= 1024 for field in embed["fields"])
        texts = [embed["title"], *(field[key] for field in embed["fields"] for key in ("name", "value"))]
        assert sum(map(len, texts)) <= 6000


def limited(seconds: float, *, body: bool) -> Callable[[Received], Reply]:
    """Takes a message only when `seconds` have passed since the last one that it took."""
    allowed_at = [0.0]

    def reply(request: Received) -> Reply:
        wait = allowed_at[0] - request.time
        if wait > 0:
            headers = {"Retry-After": str(wait if not body else 99)}
            return Reply(429, {"retry_after": wait} if body else {}, headers)
        allowed_at[0] = request.time + seconds
        return Reply(204)

    return reply


@pytest.mark.parametrize("body", [True, False])
def test_when_there_are_too_many_messages_it_waits_as_long_as_discord_says(body: bool) -> None:
    told: list[str] = []
    with FakeServer(limited(0.15, body=body)) as server:
        webhook = Webhook(server.url, source="test", tell=told.append)
        for number in range(4):
            webhook.post({"number": number})
        webhook.finish(30)
    taken = [request for request in server.requests if request.json["number"] == 3][-1]
    assert [request.json["number"] for request in server.requests] == sorted([0, 1, 1, 2, 2, 3, 3])
    assert taken.time - server.requests[0].time >= 0.45
    assert told == []


def test_a_used_up_allowance_is_waited_for_without_a_refusal() -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "0.2"}
    with FakeServer(lambda request: Reply(204, {}, headers)) as server:
        webhook = Webhook(server.url, source="test", tell=pytest.fail)
        for number in range(3):
            webhook.post({"number": number})
        webhook.finish(30)
    times = [request.time for request in server.requests]
    assert len(times) == 3
    assert all(later - earlier >= 0.2 for earlier, later in pairwise(times))


def test_a_server_error_is_tried_again_and_a_refusal_is_told_once() -> None:
    told: list[str] = []
    statuses = iter([500, 502, 204, 400, 404, 204])
    with FakeServer(lambda request: Reply(next(statuses))) as server:
        webhook = Webhook(server.url + TOKEN, source="test", tell=told.append, first_pause=0.01)
        for number in range(4):
            webhook.post({"number": number})
        webhook.finish(30)
    assert [request.json["number"] for request in server.requests] == [0, 0, 0, 1, 2, 3]
    assert told == ["Discord refuses a message with status 400"]


def test_when_discord_is_away_the_end_of_a_run_is_not_held_up_and_the_address_not_shown() -> None:
    told: list[str] = []
    with FakeServer() as server:
        url = server.url + TOKEN
    webhook = Webhook(url, source="test", tell=told.append, first_pause=10)
    for number in range(40):
        webhook.post({"number": number})
    began = time.monotonic()
    webhook.finish(0.2)
    assert time.monotonic() - began < 5
    assert told == ["more than 32 messages wait, and the oldest are given up"]
    assert "secret" not in "".join(told)


def test_without_an_address_the_sink_says_what_to_set(run: RunInfo) -> None:
    with pytest.raises(ConfigError, match="`DISCORD_WEBHOOK_URL` is not set"):
        DiscordSink(run)
