"""`alpha bench loop`."""

import json as json_format
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from alpha_bench.commands.training_config import DEFAULT_MODEL, training_config
from alpha_core.command import CommandApp
from alpha_core.config import ModelConfig, TrainConfig
from alpha_core.errors import AlphaError, UsageError

if TYPE_CHECKING:
    from alpha_bench.loop.benchmark import LoopResult

__all__ = ["FAIL_ON_SMOKE_TEST", "add_loop"]

FAIL_ON_SMOKE_TEST = "FAIL_ON_SMOKE_TEST"
"""The environment variable that lets a wrong result pass, with `0`."""

_EXAMPLES = (
    "alpha bench loop",
    "alpha bench loop --model=6x256 --backend=cpu --precision=bf16",
    "alpha bench loop --config=run.toml --fail-below=0.9",
    "FAIL_ON_SMOKE_TEST=0 alpha bench loop --backend=helios",
)


def add_loop(app: CommandApp) -> None:
    """Adds the command `loop`."""

    @app.config_command(
        "loop",
        configs=(ModelConfig, TrainConfig),
        help="Measures a short training loop, and compares it with earlier ones.\n\nEach attempt is a process of its"
        " own and is ok, unstable (times too far apart), smoke_fail (wrong values) or failed; attempts end with the"
        " first that is ok, and the best one counts. It takes the settings of `alpha train`; those about text,"
        f" evaluation and files play no part, and without `--config` and `--domain` the model is `{DEFAULT_MODEL}`."
        " `FAIL_ON_SMOKE_TEST=0` in the environment lets wrong values pass.",
        examples=_EXAMPLES,
    )
    def loop(
        flags: Mapping[str, str],
        *,
        model: Annotated[str | None, "2x64, 4x128, 6x256, 6x384 or gpt2-124m, with its batch."] = None,
        domain: Annotated[str | None, "Preset for one kind of text, beneath all other settings."] = None,
        config: Annotated[Path | None, "Settings in a TOML or JSON file."] = None,
        steps: Annotated[int, "Steps that are measured."] = 30,
        warmup_steps: Annotated[int, "Steps before them."] = 3,
        attempts: Annotated[int, "Attempts at most."] = 3,
        timeout: Annotated[float, "Seconds for an attempt."] = 600.0,
        spread: Annotated[float, "Largest spread of step times that is ok, as a share of the median."] = 0.1,
        perf_dir: Annotated[Path, "Folder for history.csv, last-benchmark.env and the logs."] = Path("perf"),
        fail_below: Annotated[float, "End with code 1 below this share of the last five ok runs; 0 never does."] = 0.0,
        json: Annotated[bool, "Print one JSON object."] = False,
    ) -> None:
        from alpha_bench.loop.benchmark import LoopOptions, run_loop

        for name, number in (("--steps", steps), ("--attempts", attempts), ("--timeout", timeout)):
            if number <= 0:
                raise UsageError(f"`{name}` is a number above 0, not `{number:g}`")
        if warmup_steps < 0 or spread < 0 or fail_below < 0:
            raise UsageError("`--warmup-steps`, `--spread` and `--fail-below` are not negative")
        strict = _fails_on_smoke_test()
        options = LoopOptions(
            steps=steps,
            warmup=warmup_steps,
            attempts=attempts,
            timeout=timeout,
            spread=spread,
            folder=perf_dir,
        )
        loaded = training_config(app.plugins, flags, model, domain, config)
        result = run_loop(loaded, options, note=lambda text: print(text, file=sys.stderr, flush=True))
        print(json_format.dumps(result.to_json()) if json else _text(result))
        _judge(result, strict=strict, fail_below=fail_below)


def _fails_on_smoke_test() -> bool:
    text = os.environ.get(FAIL_ON_SMOKE_TEST, "1")
    if text not in ("0", "1"):
        raise UsageError(f"`{FAIL_ON_SMOKE_TEST}` is `0` or `1`, not `{text}`")
    return text == "1"


def _text(result: "LoopResult") -> str:
    from alpha_bench.text import seconds_text
    from alpha_train.units import bytes_text

    entry, summary = result.entry, result.outcome.summary
    reasons = f": {'; '.join(result.outcome.reasons)}" if result.outcome.reasons else ""
    lines = [f"{entry.status}{reasons}"]
    if summary is not None and entry.tokens_per_second is not None and entry.memory_peak_bytes is not None:
        lines.append(
            f"{entry.tokens_per_second:,.0f} tokens/s; a step takes {seconds_text(summary.median)}"
            f" ({seconds_text(summary.quartile_1)} to {seconds_text(summary.quartile_3)}, {summary.count} steps)"
        )
        lines.append(f"loss {entry.first_loss:.4f} to {entry.last_loss:.4f}; {bytes_text(entry.memory_peak_bytes)}")
    if entry.ratio is not None and entry.baseline is not None:
        lines.append(
            f"{entry.ratio:.3f} times the median of the last ok runs of this machine and configuration"
            f" ({entry.baseline:,.0f} tokens/s)"
        )
    elif summary is not None:
        lines.append("there is no earlier ok run of this machine and configuration")
    return "\n".join([*lines, f"log: {result.log}"])


def _judge(result: "LoopResult", *, strict: bool, fail_below: float) -> None:
    """Raises `AlphaError` where the exit code must not be 0."""
    from alpha_bench.loop.outcome import Status

    outcome, ratio = result.outcome, result.entry.ratio
    if outcome.status is Status.failed:
        raise AlphaError(f"the benchmark failed: {'; '.join(outcome.reasons)}", hint=f"the log is `{result.log}`")
    if outcome.status is Status.smoke_fail and strict:
        raise AlphaError(
            f"the smoke test failed: {'; '.join(outcome.reasons)}", hint=f"`{FAIL_ON_SMOKE_TEST}=0` lets it pass"
        )
    if ratio is not None and ratio < fail_below:
        raise AlphaError(f"{ratio:.3f} times the median of the last ok runs is below `--fail-below={fail_below:g}`")
