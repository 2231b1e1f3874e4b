"""Everything in turn, so that a model must find out from the first words what it is reading.

Each document is of one style: nonsense prose, sums, a list, a program, a letter, a table, or one of another kind.
"""

from collections.abc import Callable

from alpha_train.datagen import abc, chords, dumb_finance
from alpha_train.datagen.draws import Draws

__all__ = ["document"]

_GRAMMAR = {
    "sentence": (
        "The {adjective} {noun} {verb} the {noun}.",
        "And then the {noun} {verb} {number} {noun}s.",
        "Nobody knows why the {noun} {verb} a {adjective} {noun}.",
        'The {noun} said: "{cry}"',
        "If the {noun} {verb} you, {order}.",
        "There was a {noun}, a {adjective} {noun} and {number} {noun}s.",
    ),
    "adjective": ("purple", "quiet", "square", "sleepy", "borrowed", "sour", "hollow", "gentle", "brass"),
    "noun": ("teapot", "tractor", "giraffe", "mountain", "clock", "pickle", "librarian", "cloud", "trumpet", "stone"),
    "verb": ("swallowed", "painted", "married", "counted", "forgot", "repaired", "outran", "whispered to"),
    "number": ("two", "three", "seven", "eleven", "forty"),
    "cry": ("Not again!", "Where is my {noun}?", "I am the {noun}.", "Run!", "It was {adjective} all along."),
    "order": ("say nothing", "feed the {noun}", "wake the {noun}", "count to {number}", "turn left"),
    "name": ("Ada", "Boris", "Chloe", "Dmitri", "Emil", "Farah", "Greta", "Hugo"),
    "variable": ("x", "y", "total", "teapots", "n", "speed"),
}


def _prose(draws: Draws) -> str:
    return " ".join(draws.expand(_GRAMMAR, "sentence") for _ in range(draws.integer(3, 9)))


def _sums(draws: Draws) -> str:
    lines = []
    for _ in range(draws.integer(4, 12)):
        left, right = draws.integer(0, 99), draws.integer(0, 99)
        sign = draws.choice("+-*")
        result = {"+": left + right, "-": left - right, "*": left * right}[sign]
        lines.append(f"{left} {sign} {right} = {result}")
    return "\n".join(lines)


def _list(draws: Draws) -> str:
    items = [
        f"{number}. {draws.expand(_GRAMMAR, 'adjective')} {draws.expand(_GRAMMAR, 'noun')}" for number in range(1, 8)
    ]
    return "Things to bring:\n" + "\n".join(items[: draws.integer(3, 7)])


def _program(draws: Draws) -> str:
    name, start = draws.expand(_GRAMMAR, "variable"), draws.integer(0, 9)
    lines = [f"{name} = {start}"]
    for _ in range(draws.integer(2, 6)):
        step = draws.integer(1, 9)
        start += step
        lines.append(f"{name} += {step}  # {start}")
    return "\n".join([*lines, f"print({name})  # {start}"])


def _letter(draws: Draws) -> str:
    sender, receiver = draws.expand(_GRAMMAR, "name"), draws.expand(_GRAMMAR, "name")
    body = " ".join(draws.expand(_GRAMMAR, "sentence") for _ in range(draws.integer(1, 4)))
    return f"Dear {receiver},\n{body}\nYours, {sender}"


def _table(draws: Draws) -> str:
    rows = [
        f"{draws.expand(_GRAMMAR, 'name')},{draws.expand(_GRAMMAR, 'noun')},{draws.integer(1, 99)}" for _ in range(8)
    ]
    return "\n".join(["name,owns,how many", *rows[: draws.integer(2, 8)]])


_STYLES: dict[Callable[[Draws], str], float] = {
    _prose: 4.0,
    _sums: 2.0,
    _list: 1.0,
    _program: 2.0,
    _letter: 2.0,
    _table: 1.0,
    abc.document: 1.0,
    chords.document: 1.0,
    dumb_finance.document: 1.0,
}


def document(draws: Draws) -> str:
    """Returns a text of one style or another."""
    return draws.weighted(_STYLES)(draws)
