"""The built-in optimizers, schedules and sinks pass the kits."""

from typing import ClassVar

from alpha_cli.console_sink import ConsoleSink
from alpha_core.schedule import Schedule
from alpha_testkit.optimizer import OptimizerConformance
from alpha_testkit.schedule import ScheduleConformance
from alpha_testkit.sink import SinkConformance
from alpha_train.csv_sink import CsvSink
from alpha_train.jsonl_sink import JsonlSink
from alpha_train.optimizers.adafactor import Adafactor
from alpha_train.optimizers.adamw import AdamW
from alpha_train.optimizers.lion import Lion
from alpha_train.optimizers.muon import Muon
from alpha_train.optimizers.sgd import SGD
from alpha_train.schedules import constant, cosine, linear, wsd


class TestAdamW(OptimizerConformance):
    optimizer_class = AdamW


class TestLion(OptimizerConformance):
    optimizer_class = Lion
    settings: ClassVar = {"beta2": 0.99}


class TestAdafactor(OptimizerConformance):
    optimizer_class = Adafactor
    settings: ClassVar = {"beta2": 0.999, "eps": 1e-30}


class TestSGD(OptimizerConformance):
    optimizer_class = SGD


class TestSGDWithoutMomentum(OptimizerConformance):
    optimizer_class = SGD
    settings: ClassVar = {"momentum": 0.0}


class TestMuon(OptimizerConformance):
    optimizer_class = Muon
    settings: ClassVar = {"momentum": 0.95, "nesterov": True}


class TestCosine(ScheduleConformance):
    def make_schedule(self) -> Schedule:
        return cosine


class TestLinear(ScheduleConformance):
    def make_schedule(self) -> Schedule:
        return linear


class TestConstant(ScheduleConformance):
    def make_schedule(self) -> Schedule:
        return constant


class TestWsd(ScheduleConformance):
    def make_schedule(self) -> Schedule:
        return wsd


class TestConsole(SinkConformance):
    sink_class = ConsoleSink


class TestJsonl(SinkConformance):
    sink_class = JsonlSink


class TestCsv(SinkConformance):
    sink_class = CsvSink
