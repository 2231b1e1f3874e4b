"""The built-in optimizer, schedule and sinks pass the kits."""

from alpha_cli.console_sink import ConsoleSink
from alpha_core.schedule import Schedule
from alpha_testkit.optimizer import OptimizerConformance
from alpha_testkit.schedule import ScheduleConformance
from alpha_testkit.sink import SinkConformance
from alpha_train.jsonl_sink import JsonlSink
from alpha_train.optimizers.adamw import AdamW
from alpha_train.schedules import cosine


class TestAdamW(OptimizerConformance):
    optimizer_class = AdamW


class TestCosine(ScheduleConformance):
    def make_schedule(self) -> Schedule:
        return cosine


class TestConsole(SinkConformance):
    sink_class = ConsoleSink


class TestJsonl(SinkConformance):
    sink_class = JsonlSink
