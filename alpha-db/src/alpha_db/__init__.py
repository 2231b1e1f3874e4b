"""The run database of the Alpha toolkit. Names are imported on first use, so that listing starts fast."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_db.address import Address as Address
    from alpha_db.address import default_address as default_address
    from alpha_db.database import Database as Database
    from alpha_db.row import Row as Row
    from alpha_db.run_store import DatabaseRuns as DatabaseRuns
    from alpha_db.sink import DbSink as DbSink

_MODULE_OF = {
    "Address": "address",
    "Database": "database",
    "DatabaseRuns": "run_store",
    "DbSink": "sink",
    "Row": "row",
    "default_address": "address",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_db` has no attribute `{name}`")
    return getattr(import_module(f"alpha_db.{_MODULE_OF[name]}"), name)
