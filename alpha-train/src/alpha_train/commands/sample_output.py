"""What `alpha sample` prints: text as it comes, log-probabilities, JSON."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from alpha_core.config import SampleConfig
from alpha_core.tokenizer import Tokenizer
from alpha_train.inference import LoadedRun
from alpha_train.sampling import Completion, Piece, ScoredToken

__all__ = ["print_json", "print_text"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but for tab and line feed


def print_text(
    pieces: Iterable[Piece],
    prompts: Sequence[str],
    config: SampleConfig,
    tokenizer: Tokenizer,
    *,
    with_logprobs: bool = False,
) -> None:
    """Prints prompts and samples, each sample as soon as its text is certain and those before it are complete."""
    count = len(prompts) * config.num_samples
    waiting = [""] * count
    ended: list[Completion | None] = [None] * count
    shown = 0
    _begin(shown, prompts, config)
    for piece in pieces:
        waiting[piece.index] += piece.text
        ended[piece.index] = piece.completion
        while shown < count:
            _write(waiting[shown])
            waiting[shown] = ""
            completion = ended[shown]
            if completion is None:
                break
            _write("\n")
            if with_logprobs:
                _write("".join(f"{_logprob_line(token, tokenizer)}\n" for token in completion.tokens))
            shown += 1
            if shown < count:
                _begin(shown, prompts, config)


def print_json(pieces: Iterable[Piece], model: LoadedRun, config: SampleConfig) -> None:
    """Prints one object with the run, the settings, and every sample with its tokens."""
    completions = {piece.index: piece.completion for piece in pieces if piece.completion is not None}
    content = {
        "run": model.folder.run_id,
        "step": model.step,
        "weights": model.weights or model.config.train.precision,
        "settings": attrs.asdict(config),
        "samples": [_completion_json(completions[index], config, model.tokenizer) for index in sorted(completions)],
    }
    print(json.dumps(content, allow_nan=False))


def _begin(index: int, prompts: Sequence[str], config: SampleConfig) -> None:
    """Prints which sample follows, where there are several, and its prompt."""
    prompt, number = divmod(index, config.num_samples)
    title = [f"prompt {prompt + 1}"] if len(prompts) > 1 else []
    title += [f"sample {number + 1}"] if config.num_samples > 1 else []
    if title:
        _write(f"--- {', '.join(title)} ---\n")
    _write(prompts[prompt])


def _logprob_line(token: ScoredToken, tokenizer: Tokenizer) -> str:
    others = [f"{logprob:9.4f} {_quoted(tokenizer, id)}" for id, logprob in token.alternatives]
    return " | ".join([f"{token.logprob:9.4f} {_quoted(tokenizer, token.id)}", *others])


def _quoted(tokenizer: Tokenizer, token: int) -> str:
    return repr(tokenizer.decode([token]))


def _completion_json(completion: Completion, config: SampleConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    def token_json(token: int, logprob: float) -> dict[str, Any]:
        return {"id": token, "text": tokenizer.decode([token]), "logprob": logprob}

    return {
        "prompt": completion.prompt,
        "number": completion.number,
        "seed": config.sample_seed,
        "text": completion.text,
        "stopReason": completion.stop_reason,
        "stopString": completion.stop_string,
        "beamScore": completion.beam_score,
        "tokens": [
            token_json(token.id, token.logprob)
            | ({"alternatives": [token_json(*other) for other in token.alternatives]} if token.alternatives else {})
            for token in completion.tokens
        ],
    }


def _write(text: str) -> None:
    """Writes text at once; what the output cannot hold, such as half a surrogate pair, becomes a question mark.

    A terminal would obey control characters, which a model can write like any others, so it gets a mark for each.
    """
    if sys.stdout.isatty():
        text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
