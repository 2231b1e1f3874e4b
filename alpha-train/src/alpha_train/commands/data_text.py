"""How `alpha data` writes figures and tokens for a person."""

from collections.abc import Iterator

from alpha_train.data.excerpt import Excerpt
from alpha_train.data.statistics import SplitStatistics, Statistics

__all__ = ["lines_of_excerpt", "lines_of_statistics"]

_LINE_END = "⏎"


def lines_of_statistics(figures: Statistics) -> list[str]:
    """Returns the figures as a table, and below it the most common tokens."""
    columns = (figures.train, figures.validation, figures.total)
    rows: list[tuple[str, list[int | None]]] = [
        ("documents", [column.documents for column in columns]),
        ("characters", [column.characters for column in columns]),
        ("bytes", [column.bytes for column in columns]),
        ("tokens", [column.tokens for column in columns]),
    ]
    if figures.total.loss_tokens != figures.total.tokens:
        rows.append(("tokens in the loss", [column.loss_tokens for column in columns]))
    lines = [f"{'':<18}{'train':>16}{'validation':>16}{'total':>16}"]
    lines += [f"{name:<18}" + "".join(f"{_number(value):>16}" for value in values) for name, values in rows]
    lines.append(f"{'bytes per token':<18}" + "".join(f"{_ratio(column):>16}" for column in columns))
    lines += ["", f"{figures.tokenizer} tokenizer: {figures.used_tokens:,} of {figures.vocab_size:,} tokens occur"]
    if figures.most_common:
        lines.append(f"{'id':>8}{'count':>14}{'share':>8}  token")
    for token in figures.most_common:
        share = 100 * token.count / figures.total.tokens
        lines.append(f"{token.id:>8}{token.count:>14,}{share:>7.2f}%  {_visible(token.text)}")
    return lines


def lines_of_excerpt(excerpt: Excerpt, title: str, *, masked: bool) -> Iterator[str]:
    """Yields a heading and the tokens, in the lines of the text."""
    shown = len(excerpt.ids)
    size = f"{excerpt.token_count:,} tokens" + (f", the first {shown:,}" if shown < excerpt.token_count else "")
    yield f"--- {title}: {size} ---"
    text, inside = "", False
    for place, (token, counts) in enumerate(zip(excerpt.texts, excerpt.counts, strict=True)):
        if masked and counts != inside:
            text += "«" if counts else "»"
            inside = counts
        elif place:
            text += "|"
        text += "".join(_visible_character(character) for character in token)
    yield text + ("»" if inside else "")


def _visible(text: str) -> str:
    """Returns a token on one line, in quotes, for its spaces matter."""
    return f"`{''.join(_visible_character(character) for character in text)}`".replace("\n", "")


def _visible_character(character: str) -> str:
    if character == "\n":
        return f"{_LINE_END}\n"
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def _number(value: int | None) -> str:
    return "n/a" if value is None else f"{value:,}"


def _ratio(figures: SplitStatistics) -> str:
    return "n/a" if figures.bytes_per_token is None else f"{figures.bytes_per_token:.3f}"
