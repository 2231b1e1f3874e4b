"""The server of Alpha: takes what training runs report, and stores it."""

from alpha_server.errors import RefusedError
from alpha_server.ingest import ingest_app
from alpha_server.limits import Limits
from alpha_server.messages import Message, parse_messages
from alpha_server.serve import serve
from alpha_server.storage import Storage
from alpha_server.uploads import Uploads

__all__ = ["Limits", "Message", "RefusedError", "Storage", "Uploads", "ingest_app", "parse_messages", "serve"]
