"""`did you mean`, wherever a person types a name."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["closest", "did_you_mean"]


def closest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Returns the known name that `name` most resembles, or None when none is close (similarity 0 to 1)."""
    names = list(known)
    folded = {n.lower().replace("-", "_"): n for n in names}
    matches = get_close_matches(name.lower().replace("-", "_"), list(folded), n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Returns a hint sentence, or None: ``did you mean `adamw`?``."""
    match = closest(name, known)
    return f"did you mean `{match}`?" if match is not None else None
