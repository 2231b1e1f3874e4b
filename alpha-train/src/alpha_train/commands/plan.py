"""`alpha plan`."""

import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from alpha_core.command import CommandApp
from alpha_core.config import SECTIONS
from alpha_core.errors import BackendError, NotInstalledError, UsageError
from alpha_core.plugins import Plugins
from alpha_train.commands.configuration import load_new_run
from alpha_train.commands.notes import ProgressLine, note

if TYPE_CHECKING:
    from alpha_core.backend import Backend
    from alpha_core.config import RunConfig
    from alpha_train.plan import Plan

__all__ = ["add_plan"]

_EXAMPLES = (
    "alpha plan",
    "alpha plan --data=books/ --tokenizer=bpe-4k --iters=20000 --tokens-per-second=15000",
    "alpha plan --domain=concordance --no-read",
    "alpha plan --backend=cpu --precision=bf16 --batch=16",
    "alpha plan --backend=helios --no-read",
    "alpha plan --config=run.toml --tokens=300e6 --json",
)


def add_plan(app: CommandApp) -> None:
    """Adds the command `plan`."""

    @app.config_command(
        "plan",
        configs=SECTIONS,
        help="Says what a training run will need.\n\nIt takes the settings of `alpha train` and trains nothing:"
        " parameters, memory, floating-point operations, tokens per parameter, passes through the text, and what speaks"
        " against them. A backend that plans its memory is asked for its plan; nothing runs on it, and `helios` needs"
        " no GPU for that. The text is read and tokenized, which training then finds in the cache.",
        examples=_EXAMPLES,
    )
    def plan(
        flags: Mapping[str, str],
        *,
        domain: Annotated[str | None, "Preset for one kind of text, beneath all other settings."] = None,
        config: Annotated[Path | None, "Settings in a TOML or JSON file."] = None,
        profile: Annotated[Path | None, "Settings that `alpha bench tune` found, above file and environment."] = None,
        no_read: Annotated[bool, "Leave the text unread: nothing about it, and the usual vocabulary size."] = False,
        tokens: Annotated[float | None, "Tokens of training text, if you know: then it is not read."] = None,
        tokens_per_second: Annotated[float | None, "Speed that you measured, for the time that it takes."] = None,
        json: Annotated[bool, "Print JSON."] = False,
    ) -> None:
        for name, value in (("--tokens", tokens), ("--tokens-per-second", tokens_per_second)):
            if value is not None and not 1 <= value < float("inf"):
                raise UsageError(f"`{name}` is a number, 1 or more, not `{value:g}`")
        loaded = load_new_run(app.plugins, flags, domain, config, profile)
        made, warnings = _plan(
            app.plugins,
            loaded.config,
            read=not no_read and tokens is None,
            tokens=None if tokens is None else int(tokens),
            tokens_per_second=tokens_per_second,
        )
        warnings = [*loaded.notes, *warnings]
        if json:
            print(json_format.dumps({**made.to_json(), "warnings": warnings}, indent=2))
            return
        from alpha_train.plan_text import plan_lines

        print("\n".join(plan_lines(made)))
        if warnings:
            print("\n".join(["warnings", *(f"  - {text}" for text in warnings)]))


def _plan(
    plugins: Plugins, config: "RunConfig", *, read: bool, tokens: int | None, tokens_per_second: float | None
) -> "tuple[Plan, list[str]]":
    """Returns the plan and what speaks against it."""
    import attrs

    from alpha_model.activation import Activation
    from alpha_train.loop import training_windows
    from alpha_train.plan import TextFigures, plan
    from alpha_train.plan_warnings import machine_memory, plan_warnings
    from alpha_train.run_data import data_of_new_run
    from alpha_train.run_knobs import check_knobs

    backend = _backend(plugins, config.train.backend)
    if backend is not None:
        check_knobs(config.train, backend)
    activation = Activation.of(plugins.activations.get(config.model.activation))
    optimizer = plugins.optimizers.get(config.train.optimizer).load()(config.train)
    text = TextFigures(tokens=tokens) if tokens is not None else None
    if read:
        with ProgressLine() as progress:
            dataset = data_of_new_run(config.train, plugins, note=note, progress=progress)
        training_windows(dataset, config.model.block_size, config.train)  # refuses what training would refuse
        vocab_size, text = dataset.tokenizer.vocab_size, TextFigures.of(dataset)
    else:
        vocab_size = _usual_vocabulary(plugins, config)
    config = attrs.evolve(config, model=attrs.evolve(config.model, vocab_size=vocab_size))
    made = plan(config, activation, optimizer, text=text, tokens_per_second=tokens_per_second, backend=backend)
    return made, plan_warnings(made, machine_bytes=machine_memory())


def _backend(plugins: Plugins, name: str) -> "Backend | None":
    """Returns the backend that would train, to plan with; None if it is to be chosen and there is none to choose."""
    try:
        return plugins.load_planner(name)
    except (BackendError, NotInstalledError) as error:
        if name != "auto":
            raise
        note(f"{error.message}: memory is estimated for the reference backend")
        return None


def _usual_vocabulary(plugins: Plugins, config: "RunConfig") -> int:
    """Returns the vocabulary size without a look at the text: the tokenizer's, or else what the settings say."""
    from alpha_train.run_tokenizer import tokenizer_for

    size = tokenizer_for(config.train.tokenizer, config.train.data, plugins).vocab_size
    if size is None:
        size = config.model.vocab_size
        note(f"the vocabulary of `{config.train.tokenizer}` depends on the text; the figures are for {size} tokens")
    return size
