"""Metric sinks that report a run elsewhere: to an Alpha server, Discord, TensorBoard, Weights & Biases and MLflow."""

from alpha_report.delivery import Delivery
from alpha_report.discord_sink import DiscordSink
from alpha_report.http_client import Answer, HttpClient, Unreachable
from alpha_report.outbox import Outbox
from alpha_report.remote_sink import RemoteSink
from alpha_report.settings import Settings

__all__ = ["Answer", "Delivery", "DiscordSink", "HttpClient", "Outbox", "RemoteSink", "Settings", "Unreachable"]
