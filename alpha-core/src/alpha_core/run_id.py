"""Run ids: `[tag_]YYYYMMDDHHMMSS_xxxx`, the time in UTC and four random characters; also the name of the run folder."""

import re
import secrets
import string
from datetime import UTC, datetime

__all__ = ["is_run_id", "new_run_id", "tag_problem"]

_RANDOM_CHARACTERS = string.digits + string.ascii_lowercase
_TAG = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_RUN_ID = re.compile(rf"(?:{_TAG}_)?[0-9]{{14}}_[0-9a-z]{{4}}")


def new_run_id(tag: str = "", *, now: datetime | None = None) -> str:
    """Returns a run id for `now` (a time with a zone; the present when left out).

    Raises `ValueError` for a tag that `tag_problem` objects to.
    """
    problem = tag_problem(tag)
    if problem is not None:
        raise ValueError(f"a tag is {problem}, not `{tag}`")
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    random = "".join(secrets.choice(_RANDOM_CHARACTERS) for _ in range(4))
    return f"{tag}_{moment:%Y%m%d%H%M%S}_{random}" if tag else f"{moment:%Y%m%d%H%M%S}_{random}"


def is_run_id(text: str) -> bool:
    """Tells whether `text` has the form of a run id."""
    return _RUN_ID.fullmatch(text) is not None


def tag_problem(tag: str) -> str | None:
    """Returns what a tag should be if `tag` is none, else None. The empty tag is allowed."""
    if tag == "" or re.fullmatch(_TAG, tag):
        return None
    return "up to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit"
