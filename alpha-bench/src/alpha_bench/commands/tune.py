"""`alpha bench tune`."""

import json as json_format
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from alpha_bench.commands.training_config import DEFAULT_MODEL, training_config
from alpha_core.command import CommandApp
from alpha_core.config import ModelConfig, TrainConfig
from alpha_core.errors import AlphaError, UsageError

if TYPE_CHECKING:
    from alpha_bench.tune.search import Trial
    from alpha_bench.tune.tuning import TuneResult

__all__ = ["add_tune"]

_EXAMPLES = (
    "alpha bench tune --model=6x256 --backend=cpu --out=profile.toml",
    "alpha bench tune --config=run.toml --budget=600 --grid",
    "alpha bench tune --domain=chat --only=threads,batch",
    "alpha train --domain=chat --profile=profile.toml",
)


def add_tune(app: CommandApp) -> None:
    """Adds the command `tune`."""

    @app.config_command(
        "tune",
        configs=(ModelConfig, TrainConfig),
        help="Finds the fastest settings that work, for `alpha train --profile`.\n\nIt varies the knobs of the backend,"
        " and batch against accumulation, each candidate in a process of its own. Only candidates that are ok count:"
        " finite, with a loss that falls and steady times. The winner is measured against the start once more. It takes"
        " the settings of `alpha train`; those about text, evaluation and files play no part, and without `--config`"
        f" and `--domain` the model is `{DEFAULT_MODEL}`.",
        examples=_EXAMPLES,
    )
    def tune(
        flags: Mapping[str, str],
        *,
        model: Annotated[str | None, "2x64, 4x128, 6x256, 6x384 or gpt2-124m, with its batch."] = None,
        domain: Annotated[str | None, "Preset for one kind of text, beneath all other settings."] = None,
        config: Annotated[Path | None, "Settings in a TOML or JSON file."] = None,
        budget: Annotated[float, "Seconds after which no new candidate is begun."] = 120.0,
        grid: Annotated[bool, "Try every combination, not one knob after the other."] = False,
        only: Annotated[str, "What to vary, separated by commas: names of knobs, and `batch`; else everything."] = "",
        keep_results: Annotated[bool, "Leave alone what changes results by rounding."] = False,
        free_batch: Annotated[bool, "Let the sequences of a step change too, which changes training."] = False,
        steps: Annotated[int, "Steps that are measured for a candidate."] = 10,
        timeout: Annotated[float, "Seconds for a candidate."] = 300.0,
        spread: Annotated[float, "Largest spread of step times that is ok, as a share of the median."] = 0.2,
        out: Annotated[Path, "The profile."] = Path("profile.toml"),
        json: Annotated[bool, "Print one JSON object."] = False,
    ) -> None:
        from alpha_bench.tune.candidate import Candidate, dimensions_of
        from alpha_bench.tune.tuning import TuneOptions, profile_of, tune
        from alpha_core.config.profile import write_profile

        for name, number in (("--budget", budget), ("--steps", steps), ("--timeout", timeout)):
            if number <= 0:
                raise UsageError(f"`{name}` is a number above 0, not `{number:g}`")
        if spread < 0:
            raise UsageError(f"`--spread` is not negative, as `{spread:g}` is")
        if not out.absolute().parent.is_dir():
            raise UsageError(f"`--out={out}`: there is no folder `{out.parent}`")
        loaded = training_config(app.plugins, flags, model, domain, config)
        backend = app.plugins.choose_backend(loaded.train.backend).load()
        dimensions = dimensions_of(
            loaded.train,
            backend.knobs,
            only=[name.strip() for name in only.split(",") if name.strip()],
            keep_results=keep_results,
            free_batch=free_batch,
        )
        start = Candidate.of(loaded.train, backend.knobs)
        backend.close()
        result = tune(
            loaded,
            start,
            dimensions,
            TuneOptions(budget=budget, grid=grid, steps=steps, timeout=timeout, spread=spread),
            on_trial=lambda trial: print(_line(trial), file=sys.stderr, flush=True),
        )
        if result.winner is None:
            raise AlphaError(_nothing(result), hint="no profile was written")
        write_profile(out, profile_of(result.winner))
        print(json_format.dumps({**result.to_json(), "profile": str(out)}) if json else _text(result, out))


def _line(trial: "Trial") -> str:
    outcome = trial.outcome
    reasons = f": {'; '.join(outcome.reasons)}" if outcome.reasons else ""
    return f"{trial.candidate}: {outcome.status.name}, {outcome.tokens_per_second:,.0f} tokens/s{reasons}"


def _text(result: "TuneResult", out: Path) -> str:
    winner = result.winner
    assert winner is not None
    found = f"{winner.candidate}: {winner.outcome.tokens_per_second:,.0f} tokens/s"
    if winner.candidate == result.trials[0].candidate:
        found += ", as it was: nothing was faster"
    else:
        found += f", {result.gain:.2f} times the start when both were measured again"
    return f"{found}\n{len(result.trials)} candidates were tried; use the winner with: alpha train --profile={out}"


def _nothing(result: "TuneResult") -> str:
    reasons = dict.fromkeys(reason for trial in result.trials for reason in trial.outcome.reasons)
    return f"none of {len(result.trials)} candidates is ok: {'; '.join(list(reasons)[:3])}"
