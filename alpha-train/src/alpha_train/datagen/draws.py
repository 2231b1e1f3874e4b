"""Random choices that are the same on every machine and with every version of Python."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

__all__ = ["Draws"]

T = TypeVar("T")


class Draws:
    """A stream of choices that depends on its name alone.

    Only `Random.random` is used: its numbers are promised to stay, those of the methods built on it are not.
    """

    def __init__(self, name: str) -> None:
        self._next = Random(name).random

    def integer(self, low: int, high: int) -> int:
        """Returns an integer from `low` to `high`, both included."""
        return low + int(self._next() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Returns True with a probability."""
        return self._next() < probability

    def choice(self, items: Sequence[T]) -> T:
        """Returns one of the items."""
        return items[self.integer(0, len(items) - 1)]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """Returns one of the keys; a key of twice the weight comes twice as often."""
        place = self._next() * sum(weights.values())
        for item, weight in weights.items():
            place -= weight
            if place < 0:
                return item
        return item

    def expand(self, grammar: Mapping[str, Sequence[str]], symbol: str) -> str:
        """Returns a text that a grammar makes of a symbol: `{name}` in a rule stands for one of the rules of `name`.

        >>> Draws("example").expand({"greeting": ["hello {who}"], "who": ["you"]}, "greeting")
        'hello you'
        """
        pieces = []
        for part in self.choice(grammar[symbol]).split("{"):
            name, brace, rest = part.partition("}")
            pieces.append(self.expand(grammar, name) + rest if brace else part)
        return "".join(pieces)
