"""The complete plugins that the docstrings of the contracts show pass the kits."""

import inspect
import re
import textwrap
from typing import Any

from alpha_core.errors import TokenizerError, UsageError
from alpha_core.observer import MetricSink
from alpha_core.optimizer import Optimizer
from alpha_core.schedule import Schedule
from alpha_core.tokenizer import Tokenizer
from alpha_testkit import OptimizerConformance, ScheduleConformance, SinkConformance, TokenizerConformance


def _shown_by(contract: type, name: str) -> Any:
    """Runs the example in a contract's docstring and returns what it defines under `name`."""
    code = re.search(r"```python\n(.*?)```", inspect.getdoc(contract) or "", re.DOTALL)
    assert code is not None
    namespace: dict[str, Any] = {contract.__name__: contract, "TrainConfig": Any}
    namespace |= {"TokenizerError": TokenizerError, "UsageError": UsageError}
    exec(compile(textwrap.dedent(code[1]), f"<docstring of {contract.__name__}>", "exec"), namespace)
    return namespace[name]


class TestAsciiTokenizer(TokenizerConformance):
    tokenizer_class = _shown_by(Tokenizer, "AsciiTokenizer")
    specials = ()


class TestSignSGD(OptimizerConformance):
    optimizer_class = _shown_by(Optimizer, "SignSGD")


class TestConstant(ScheduleConformance):
    def make_schedule(self) -> Schedule:
        schedule: Schedule = _shown_by(Schedule, "constant")
        return schedule


class TestLossFile(SinkConformance):
    sink_class = _shown_by(MetricSink, "LossFile")
