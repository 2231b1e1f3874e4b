"""Every part passes its conformance kit."""

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.expression import Expression
from alpha_core.schedule import Schedule
from alpha_core.tokenizer import END_OF_TEXT
from alpha_testkit import (
    ActivationConformance,
    BackendConformance,
    OptimizerConformance,
    ScheduleConformance,
    SinkConformance,
    TokenizerConformance,
)

from alpha_example.activation import leaky_squareplus
from alpha_example.backend import PlainBackend
from alpha_example.optimizer import RMSProp
from alpha_example.schedule import inverse_sqrt
from alpha_example.sink import ReportSink
from alpha_example.tokenizer import ByteTokenizer


class TestPlainBackend(BackendConformance):
    compute_dtypes = (DType.f32,)

    def make_backend(self) -> Backend:
        return PlainBackend()


class TestByteTokenizer(TokenizerConformance):
    tokenizer_class = ByteTokenizer
    lossless = True


class TestByteTokenizerOfOneSize(TokenizerConformance):
    tokenizer_class = ByteTokenizer
    lossless = True
    vocab_size = 257
    specials = (END_OF_TEXT,)


class TestLeakySquareplus(ActivationConformance):
    def make_expression(self) -> Expression:
        return leaky_squareplus()


class TestRMSProp(OptimizerConformance):
    optimizer_class = RMSProp


class TestInverseSqrt(ScheduleConformance):
    def make_schedule(self) -> Schedule:
        return inverse_sqrt


class TestReportSink(SinkConformance):
    sink_class = ReportSink
