"""`alpha sample`."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR, SampleConfig, settings_of
from alpha_core.errors import DataError, UsageError
from alpha_core.tokenizer import Tokenizer
from alpha_train.commands.notes import note
from alpha_train.commands.weights_option import WEIGHTS_HELP

__all__ = ["add_sample"]

_STANDARD_INPUT = "-"
_EXAMPLES = (
    "alpha sample last",
    "alpha sample 20261121 --prompt='def ' --temperature=0.7 --top-p=0.9 --steps=300",
    "alpha sample last --prompt='def ' --prompt='class ' --num-samples=3 --stop='\"\"\"'",
    "alpha sample last --prompt=- --beam=4 --stop='[\"\\n\\n\"]' < beginning.txt",
    "alpha sample last --weights=int8 --steps=1000",
    "alpha sample runs/20261121120000_ab12 --checkpoint=latest --logprobs=3 --json",
)


def add_sample(app: CommandApp) -> None:
    """Adds the command `sample`."""

    @app.config_command(
        "sample",
        configs=[SampleConfig],
        help="Writes text with the model of a run.\n\nAll samples of all prompts are computed together.",
        examples=_EXAMPLES,
    )
    def sample(
        flags: Mapping[str, str],
        run: Annotated[str, "Its id, the beginning of it, its folder, or `last`."] = "last",
        /,
        *,
        prompt: Annotated[
            list[str] | None,
            "Text to continue, `-` for standard input, less the end of its last line; give it again for several."
            "  [default: the first prompt of the run's domain]",
        ] = None,
        checkpoint: Annotated[str, "`best` by validation loss, `latest`, or a step."] = "best",
        logprobs: Annotated[
            int | None, "Show the log-probability of each token, and of this many likeliest ones in its place."
        ] = None,
        json: Annotated[bool, "Print everything as JSON, once it is complete."] = False,
        weights: Annotated[str | None, WEIGHTS_HELP] = None,
        backend: Annotated[str, "Backend that computes."] = "auto",
        runs_dir: Annotated[Path, "Folder that holds the run folders."] = Path(DEFAULT_RUNS_DIR),
    ) -> None:
        if logprobs is not None and logprobs < 0:
            raise UsageError(f"`--logprobs` is `{logprobs}`; expected an integer, 0 or more")
        from alpha_core.config import load_config
        from alpha_train.commands import sample_output
        from alpha_train.inference import load_run
        from alpha_train.run_folder import find_run

        folder = find_run(runs_dir, run)
        sampling = {setting.env for setting in settings_of(SampleConfig)}
        loaded = load_config(
            domain_config=lambda name: app.plugins.domains.get(name).load(),
            file=folder.path / "config.json",
            environ={name: value for name, value in os.environ.items() if name in sampling},
            flags=flags,
        )
        config = loaded.config.sample
        domain_prompts = loaded.domain_config.prompts if loaded.domain_config is not None else ()
        prompts = _read_prompts(prompt) if prompt else [*domain_prompts[:1]] or [""]
        model = load_run(folder, app.plugins, checkpoint=checkpoint, backend=backend, weights=weights)
        for text in model.checkpoint.notes:
            note(text)
        _note_unknown_symbols(prompts, model.tokenizer)
        pieces = model.sampler().stream(prompts, config, alternatives=logprobs or 0)
        if json:
            sample_output.print_json(pieces, model, config)
        else:
            sample_output.print_text(pieces, prompts, config, model.tokenizer, with_logprobs=logprobs is not None)


def _read_prompts(prompts: Sequence[str]) -> list[str]:
    """Returns the prompts with standard input in place of `-`."""
    if list(prompts).count(_STANDARD_INPUT) > 1:
        raise UsageError("standard input can be one prompt only, but `--prompt=-` is given more than once")
    return [_read_standard_input() if prompt == _STANDARD_INPUT else prompt for prompt in prompts]


def _read_standard_input() -> str:
    """Returns all of it but the end of the last line, which `echo` and editors add and which is rarely meant."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is `0x{error.object[error.start]:02x}`"
        raise DataError(f"standard input is not UTF-8 text: {byte}") from error
    if not text:
        raise UsageError("standard input is empty", hint="`--prompt=` alone begins a new document")
    for end in ("\r\n", "\n"):
        if text.endswith(end) and text != end:
            return text.removesuffix(end)
    return text


def _note_unknown_symbols(prompts: Sequence[str], tokenizer: Tokenizer) -> None:
    for prompt in prompts:
        if tokenizer.decode(tokenizer.encode(prompt)) != prompt:
            note("the tokenizer does not know every symbol of the prompt; the model reads a substitute for these")
            return
