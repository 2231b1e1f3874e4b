"""Benchmarks of Alpha. Names are imported on first use.

```python
from alpha_bench import Effort, Session, read_report, run_suites
from alpha_core import load_plugins

results = run_suites(["gemm"], Session(load_plugins(), backend_name="cpu_ref", effort=Effort.quick_look()))
print(results[0].id, results[0].median)
```
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_bench.compare import compare_reports as compare_reports
    from alpha_bench.measure import Effort as Effort
    from alpha_bench.report import Report as Report
    from alpha_bench.report import read_report as read_report
    from alpha_bench.result import Result as Result
    from alpha_bench.runner import run_suites as run_suites
    from alpha_bench.session import Session as Session
    from alpha_bench.statistics import Summary as Summary

_MODULE_OF = {
    "Effort": "measure",
    "Report": "report",
    "Result": "result",
    "Session": "session",
    "Summary": "statistics",
    "compare_reports": "compare",
    "read_report": "report",
    "run_suites": "runner",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_bench` has no attribute `{name}`")
    return getattr(import_module(f"alpha_bench.{_MODULE_OF[name]}"), name)
