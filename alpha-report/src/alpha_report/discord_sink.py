"""The `discord` metric sink: start, samples and end of a run in a Discord channel."""

from collections.abc import Mapping, Sequence
from typing import Any

from alpha_core.environment import required_environment_value
from alpha_core.observer import MetricSink, RunInfo, Sample
from alpha_report.embeds import complete_message, samples_message, start_message
from alpha_report.webhook import Webhook

__all__ = ["DiscordSink"]

_VARIABLE = "DISCORD_WEBHOOK_URL"
_FINISH_SECONDS = 8.0


class DiscordSink(MetricSink):
    """Posts to the webhook that `DISCORD_WEBHOOK_URL` names. Raises `ConfigError` if it is not set or no address."""

    def __init__(self, run: RunInfo) -> None:
        super().__init__(run)
        self._webhook = Webhook(
            required_environment_value(_VARIABLE), source=_VARIABLE, tell=lambda message: self.tell(message)
        )
        self._metrics: dict[str, Any] = {}

    def on_start(self, run: RunInfo) -> None:
        self._webhook.post(start_message(run))

    def on_step(self, metrics: Mapping[str, Any]) -> None:
        self._metrics |= metrics

    def on_samples(self, step: int, samples: Sequence[Sample]) -> None:
        if samples:
            self._webhook.post(samples_message(self.run, step, samples, self._metrics))

    def on_finish(self, summary: Mapping[str, Any]) -> None:
        self._webhook.post(complete_message(self.run, summary))

    def close(self) -> None:
        self._webhook.finish(_FINISH_SECONDS)
