"""Metric sinks that report a run elsewhere: to an Alpha server, Discord, TensorBoard, Weights & Biases and MLflow.

Names are imported on first use, so that listing starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_report.delivery import Delivery as Delivery
    from alpha_report.discord_sink import DiscordSink as DiscordSink
    from alpha_report.http_client import Answer as Answer
    from alpha_report.http_client import HttpClient as HttpClient
    from alpha_report.http_client import Unreachable as Unreachable
    from alpha_report.outbox import Outbox as Outbox
    from alpha_report.remote_sink import RemoteSink as RemoteSink
    from alpha_report.settings import Settings as Settings

_MODULE_OF = {
    "Answer": "http_client",
    "Delivery": "delivery",
    "DiscordSink": "discord_sink",
    "HttpClient": "http_client",
    "Outbox": "outbox",
    "RemoteSink": "remote_sink",
    "Settings": "settings",
    "Unreachable": "http_client",
}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_report` has no attribute `{name}`")
    return getattr(import_module(f"alpha_report.{_MODULE_OF[name]}"), name)
