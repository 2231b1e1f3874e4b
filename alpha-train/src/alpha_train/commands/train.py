"""`alpha train`."""

import json as json_format
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR, SECTIONS, DomainConfig
from alpha_core.errors import UsageError
from alpha_core.observer import Event, Observer
from alpha_core.plugins import Plugins
from alpha_train.commands.configuration import DEFAULT_DOMAIN, load_new_run
from alpha_train.commands.notes import ProgressLine, note
from alpha_train.commands.tracing import Tracing

if TYPE_CHECKING:
    from alpha_core.config import LoadedConfig
    from alpha_train.parent import Parent
    from alpha_train.run import FinishedRun

    Run = Callable[..., FinishedRun]
    """Takes the options of `start_run` that are not about what is trained."""

__all__ = ["add_train"]

_EXAMPLES = (
    "alpha train",
    "alpha train --data=books/ --tokenizer=bpe-4k --iters=5000",
    "alpha train --domain=chat --data='dialogues/*.txt' --backend=cpu_ref",
    "alpha train --config=run.toml --lr=1e-3 --print-config",
    "alpha train --resume=last --iters=2000",
    "alpha train --init-from=last --data=more.txt --lr=1e-4",
    "alpha train --init-from=last --restore=grow --n-layer=8 --n-embd=512",
    "alpha train --domain=python --quiet --json",
    "alpha train --iters=20 --trace=trace.json",
)


def add_train(app: CommandApp) -> None:
    """Adds the command `train`."""

    @app.config_command(
        "train",
        configs=SECTIONS,
        help="Trains a model on text.\n\nCheckpoints, evaluations and samples come on the way."
        f" Without `--data`, `--domain` and `--config` it trains on the domain `{DEFAULT_DOMAIN}`: this Python's own"
        " source, in about two minutes.",
        examples=_EXAMPLES,
    )
    def train(
        flags: Mapping[str, str],
        *,
        domain: Annotated[str | None, "Preset for one kind of text, beneath all other settings."] = None,
        config: Annotated[Path | None, "Settings in a TOML or JSON file."] = None,
        profile: Annotated[Path | None, "Settings that `alpha bench tune` found, above file and environment."] = None,
        resume: Annotated[str | None, "Continue a run: its id, the beginning of it, its folder, or `last`."] = None,
        init_from: Annotated[
            str | None, "Start a new run from the weights of another, or of an import: id, folder, or `last`."
        ] = None,
        init_checkpoint: Annotated[
            str, "Which weights: the `best` by validation loss, the `latest`, or a step."
        ] = "best",
        restore: Annotated[
            str | None, "How the weights are taken over: `exact`, or by another model `prefix`, `project` or `grow`."
        ] = None,
        print_config: Annotated[bool, "Print the complete configuration as TOML and exit."] = False,
        trace: Annotated[
            Path | None, "Write what some steps spend their time on, for Perfetto, and print it as a table."
        ] = None,
        trace_steps: Annotated[str, "The steps to trace, counted from the first one that this command takes."] = "5-14",
        quiet: Annotated[bool, "No console: notes, errors and a line at the end, on standard error."] = False,
        json: Annotated[bool, "Print one JSON object at the end; all else goes to standard error."] = False,
    ) -> None:
        if resume is not None:
            _check_resume(init_from, restore)
            loaded, run = _resume(app.plugins, resume, flags, domain, config, profile)
        else:
            parent = _parent(app.plugins, flags, init_from, init_checkpoint, restore)
            loaded, run = _start(app.plugins, flags, domain, config, profile, parent)
        for text in loaded.notes:
            note(text)
        if print_config:
            _print(loaded)
        else:
            tracing = Tracing.of(trace, trace_steps) if trace is not None else None
            _train(run, loaded.config.train.sinks, tracing, quiet=quiet, json=json)


def _check_resume(init_from: str | None, restore: str | None) -> None:
    if init_from is not None:
        raise UsageError("`--resume` continues a run and `--init-from` starts one: give one of them")
    if restore not in (None, "exact"):
        raise UsageError(
            f"a resumed run goes on exactly, and `--restore={restore}` makes another model",
            hint="`--init-from` in place of `--resume` starts a new run with it",
        )


def _parent(
    plugins: Plugins, flags: Mapping[str, str], name: str | None, checkpoint: str, restore: str | None
) -> "Parent | None":
    """Returns the run that a new one starts from."""
    if name is None:
        if restore is not None:
            raise UsageError("`--restore` says how weights are taken over: name whose with `--init-from`")
        return None
    from alpha_train.parent import Parent
    from alpha_train.run_folder import find_run

    folder = find_run(Path(flags.get("runs_dir", DEFAULT_RUNS_DIR)), name)
    return Parent.read(folder, plugins, mode=restore or "exact", checkpoint=checkpoint)


def _start(
    plugins: Plugins,
    flags: Mapping[str, str],
    domain: str | None,
    file: Path | None,
    profile: Path | None,
    parent: "Parent | None",
) -> "tuple[LoadedConfig, Run]":
    """Returns the configuration of a new run, and what starts it."""
    loaded = load_new_run(plugins, flags, domain, file, profile, parent.settings if parent is not None else None)

    def run(**options: Any) -> "FinishedRun":
        from alpha_train.run import start_run

        return start_run(loaded.config, plugins, parent=parent, prompts=_prompts(loaded), **options)

    return loaded, run


def _resume(
    plugins: Plugins,
    name: str,
    flags: Mapping[str, str],
    domain: str | None,
    file: Path | None,
    profile: Path | None,
) -> "tuple[LoadedConfig, Run]":
    """Returns the run's own configuration, which only flags change (the environment might by accident), and what
    continues it."""
    from alpha_core.config import load_config
    from alpha_train.run_folder import find_run

    if domain is not None or file is not None or profile is not None:
        raise UsageError("`--resume` takes the run's own configuration, not `--domain`, `--config` or `--profile`")
    folder = find_run(Path(flags.get("runs_dir", DEFAULT_RUNS_DIR)), name)
    loaded = load_config(domain_config=_domain_lookup(plugins), file=folder.path / "config.json", flags=flags)

    def run(**options: Any) -> "FinishedRun":
        from alpha_train.run import resume_run

        return resume_run(folder, loaded.config, plugins, prompts=_prompts(loaded), **options)

    return loaded, run


def _train(run: "Run", sinks: Sequence[str], tracing: Tracing | None, *, quiet: bool, json: bool) -> None:
    """Runs until the end or a signal, and says what can be done next."""
    from alpha_train.status_request import status_on_signal
    from alpha_train.stop import stop_on_signals

    if quiet:
        sinks = [name for name in sinks if name != "console"]
    shown = sys.stderr if quiet or json else sys.stdout
    with redirect_stdout(shown), stop_on_signals() as stop, status_on_signal() as status, ProgressLine() as progress:
        finished = run(
            sinks=sinks,
            observer=None if "console" in sinks else _StatusLines(),
            stop=stop,
            status_wanted=status,
            tracer=tracing.tracer if tracing is not None else None,
            note=note,
            progress=_no_progress if quiet else progress,
        )
    stopped_by = stop.reason if finished.result.status == "stopped" else None
    if not quiet:
        print("", *_next_steps(finished, stopped_by), sep="\n", file=shown)
    elif not json:
        print(_ending(finished, stopped_by), file=shown)
    if tracing is not None:
        print(*tracing.finish(), sep="\n", file=shown)
    if json:
        print(json_format.dumps(finished.to_json()))
    if stopped_by is not None:
        raise SystemExit(stop.exit_code)


def _next_steps(finished: "FinishedRun", stopped_by: str | None) -> list[str]:
    """Returns lines about where the run is and what can be done with it."""
    folder, run_id, result = finished.folder.path, finished.folder.run_id, finished.result
    resume = _command(["train", f"--resume={run_id}"], finished)
    if stopped_by is not None:
        where = f"stopped by {stopped_by} after step {result.step}; the checkpoint is in {folder}"
        return [where, f"resume with: {resume}"]
    lines = [f"the run is in {folder}", f"sample from it with: {_command(['sample', run_id], finished)}"]
    return [*lines, f"train on with: {resume} --early-stop=0"] if result.status == "early_stopped" else lines


def _ending(finished: "FinishedRun", stopped_by: str | None) -> str:
    """Returns the one line of a quiet run."""
    result, progress = finished.result, finished.result.progress
    words = [f"{f'stopped by {stopped_by}' if stopped_by else result.status} at step {result.step}"]
    if progress.loss is not None:
        words.append(f"loss {progress.loss:.4f}")
    if progress.best_validation_loss is not None:
        words.append(f"best validation loss {progress.best_validation_loss:.4f} at step {progress.best_step}")
    return f"{', '.join(words)}; the run is in {finished.folder.path}"


class _StatusLines(Observer):
    """Shows what was asked for with a signal, where no console does."""

    def on_event(self, event: Event) -> None:
        if event.kind == "status_report":
            print(event.message, file=sys.stderr)


def _no_progress(activity: str, done: int, total: int) -> None:
    pass


def _command(arguments: Sequence[str], finished: "FinishedRun") -> str:
    """Returns a command line about the run that works where the person is."""
    runs = str(finished.folder.path.parent)
    return shlex.join(["alpha", *arguments, *([] if runs == DEFAULT_RUNS_DIR else [f"--runs-dir={runs}"])])


def _domain_lookup(plugins: Plugins) -> Callable[[str], DomainConfig]:
    return lambda name: plugins.domains.get(name).load()


def _prompts(loaded: "LoadedConfig") -> tuple[str, ...]:
    return loaded.domain_config.prompts if loaded.domain_config is not None else ()


def _print(loaded: "LoadedConfig") -> None:
    from alpha_core.config import format_toml

    print(format_toml(loaded.config, loaded.sources), end="")
