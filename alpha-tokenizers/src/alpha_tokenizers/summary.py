"""What `alpha tokenizer show` says about a tokenizer of any type."""

from typing import Any

from alpha_core.tokenizer import Tokenizer

__all__ = ["SAMPLE_TEXT", "lines_of", "summarize"]

SAMPLE_TEXT = "def greet(name):\n    return f\"Hello, {name}! It's 2 o'clock.\"\n"
_LONGEST = 10


def summarize(tokenizer: Tokenizer, sample: str) -> dict[str, Any]:
    """Returns type, sizes, specials, longest tokens and the tokens of a sample text, as JSON values."""
    specials = tokenizer.specials
    ordinary = sorted(set(range(tokenizer.vocab_size)) - set(specials.values()))
    texts = {i: tokenizer.decode([i]) for i in ordinary}
    longest = sorted(ordinary, key=lambda i: (-len(texts[i]), i))[:_LONGEST]
    ids = tokenizer.encode(sample)
    return {
        "type": tokenizer.type,
        "vocabSize": tokenizer.vocab_size,
        "specialTokens": specials,
        "longestTokens": [{"id": i, "text": texts[i]} for i in longest],
        "sample": {"text": sample, "ids": ids, "tokens": [tokenizer.decode([i]) for i in ids]},
    }


def lines_of(summary: dict[str, Any]) -> list[str]:
    """Returns the summary as lines for a person."""
    sample = summary["sample"]
    return [
        f"type             {summary['type']}",
        f"vocabulary size  {summary['vocabSize']}",
        "specials         " + " ".join(f"{name}={token_id}" for name, token_id in summary["specialTokens"].items()),
        "longest tokens   " + " ".join(repr(token["text"]) for token in summary["longestTokens"]),
        f"sample           {sample['text']!r}",
        f"  in {len(sample['ids'])} tokens  " + " ".join(map(repr, sample["tokens"])),
    ]
