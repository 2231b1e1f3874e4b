"""The kinds of text, one row each; their grammars are imported when they are used."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from alpha_train.datagen.draws import Draws

__all__ = ["KINDS", "Kind"]


@attrs.frozen(kw_only=True)
class Kind:
    """What one kind of text is. Its name is that of its file here, and of the domain that suits it."""

    name: str
    summary: str

    def load(self) -> "Callable[[Draws], str]":
        """Returns the function that makes a document."""
        document: Callable[[Draws], str] = import_module(f"alpha_train.datagen.{self.name}").document
        return document


KINDS = (
    Kind(name="abc", summary="Folk tunes in ABC notation, with bars that add up."),
    Kind(name="chords", summary="Songs as chord progressions that follow functional harmony."),
    Kind(name="dumb_finance", summary="Confident and worthless financial advice."),
    Kind(name="chaos", summary="Everything in turn: sums, lists, code, letters, tunes."),
)
