"""What a report says of the machine."""

from collections.abc import Mapping

import pytest

from alpha_bench import machine
from alpha_bench.machine import Machine


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"model name": "AMD EPYC", "cpu family": "25", "model": "1"}, "AMD EPYC (family 25, model 1)"),
        ({"model name": "Intel(R) Core(TM) i7-8700 CPU", "cpu family": "6"}, "Intel(R) Core(TM) i7-8700 CPU"),
        ({"model name": "AMD EPYC 9654", "cpu family": "25", "model": "17"}, "AMD EPYC 9654"),
        ({"model name": "AMD EPYC"}, "AMD EPYC"),
    ],
)
def test_a_processor_is_told_from_others(facts: Mapping[str, str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cpu_facts", lambda: facts)
    assert Machine.here().cpu == name
