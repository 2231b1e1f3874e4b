"""The server of Alpha: takes what training runs report, and stores it.

Names are imported on first use, so that listing starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_server.errors import RefusedError as RefusedError
    from alpha_server.ingest import ingest_app as ingest_app
    from alpha_server.limits import Limits as Limits
    from alpha_server.messages import Message as Message
    from alpha_server.messages import parse_messages as parse_messages
    from alpha_server.storage import Storage as Storage
    from alpha_server.uploads import Uploads as Uploads

_MODULE_OF = {
    "Limits": "limits",
    "Message": "messages",
    "RefusedError": "errors",
    "Storage": "storage",
    "Uploads": "uploads",
    "ingest_app": "ingest",
    "parse_messages": "messages",
}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_server` has no attribute `{name}`")
    return getattr(import_module(f"alpha_server.{_MODULE_OF[name]}"), name)
