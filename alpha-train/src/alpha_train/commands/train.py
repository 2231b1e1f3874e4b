"""`alpha train`."""

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR, SECTIONS, DomainConfig
from alpha_core.errors import UsageError
from alpha_core.plugins import Plugins
from alpha_train.commands.notes import ProgressLine, note

if TYPE_CHECKING:
    from alpha_core.config import LoadedConfig
    from alpha_train.run import FinishedRun

__all__ = ["add_train"]

_DEFAULT_DOMAIN = "python"
_EXAMPLES = (
    "alpha train",
    "alpha train --data=books/ --tokenizer=bpe-4k --iters=5000",
    "alpha train --domain=chat --data='dialogues/*.txt' --backend=cpu_ref",
    "alpha train --config=run.toml --lr=1e-3 --print-config",
    "alpha train --resume=last --iters=2000",
)


def add_train(app: CommandApp) -> None:
    """Adds the command `train`."""

    @app.config_command(
        "train",
        configs=SECTIONS,
        help="Trains a model on text.\n\nCheckpoints, evaluations and samples come on the way."
        f" Without `--data`, `--domain` and `--config` it trains on the domain `{_DEFAULT_DOMAIN}`: this Python's own"
        " source, in about two minutes.",
        examples=_EXAMPLES,
    )
    def train(
        flags: Mapping[str, str],
        *,
        domain: Annotated[str | None, "Preset for one kind of text, beneath all other settings."] = None,
        config: Annotated[Path | None, "Settings in a TOML or JSON file."] = None,
        resume: Annotated[str | None, "Continue a run: its id, the beginning of it, its folder, or `last`."] = None,
        print_config: Annotated[bool, "Print the complete configuration as TOML and exit."] = False,
    ) -> None:
        if resume is not None:
            _resume(app.plugins, resume, flags, domain, config, print_config=print_config)
        else:
            _start(app.plugins, flags, domain, config, print_config=print_config)


def _start(
    plugins: Plugins, flags: Mapping[str, str], domain: str | None, file: Path | None, *, print_config: bool
) -> None:
    if domain is None and file is None and "data" not in flags and not {"ALPHA_DOMAIN", "ALPHA_DATA"} & set(os.environ):
        domain = _DEFAULT_DOMAIN
    from alpha_core.config import load_config

    loaded = load_config(
        domain=domain, domain_config=_domain_lookup(plugins), file=file, environ=os.environ, flags=flags
    )
    _tell(loaded)
    if print_config:
        _print(loaded)
        return
    from alpha_train.run import start_run

    prompts = loaded.domain_config.prompts if loaded.domain_config is not None else ()
    _train(lambda **options: start_run(loaded.config, plugins, prompts=prompts, **options))


def _resume(
    plugins: Plugins,
    run: str,
    flags: Mapping[str, str],
    domain: str | None,
    file: Path | None,
    *,
    print_config: bool,
) -> None:
    """Continues with the run's own configuration; only flags change it, so that the environment cannot by accident."""
    from alpha_core.config import load_config
    from alpha_train.run_folder import find_run

    if domain is not None or file is not None:
        raise UsageError("`--resume` takes the run's own configuration, not `--domain` or `--config`")
    folder = find_run(Path(flags.get("runs_dir", DEFAULT_RUNS_DIR)), run)
    loaded = load_config(domain_config=_domain_lookup(plugins), file=folder.path / "config.json", flags=flags)
    _tell(loaded)
    if print_config:
        _print(loaded)
        return
    from alpha_train.run import resume_run

    prompts = loaded.domain_config.prompts if loaded.domain_config is not None else ()
    _train(lambda **options: resume_run(folder, loaded.config, plugins, prompts=prompts, **options))


def _train(run: Callable[..., "FinishedRun"]) -> None:
    """Runs until the end or a signal, and says what can be done next."""
    from alpha_train.stop import stop_on_signals

    with stop_on_signals() as stop, ProgressLine() as progress:
        finished = run(stop=stop, note=note, progress=progress)
    run_id = finished.folder.run_id
    if stop.reason is not None and finished.result.status == "stopped":
        print(
            f"\nstopped by {stop.reason} after step {finished.result.step}; the checkpoint is in {finished.folder.path}"
        )
        print(f"resume with: {_command('train', f'--resume={run_id}', finished)}")
        raise SystemExit(stop.exit_code)
    print(f"\nthe run is in {finished.folder.path}")
    print(f"sample from it with: {_command('sample', run_id, finished)}")


def _command(name: str, argument: str, finished: "FinishedRun") -> str:
    """Returns a command line about the run that works where the person is."""
    runs = str(finished.folder.path.parent)
    return shlex.join(["alpha", name, argument, *([] if runs == DEFAULT_RUNS_DIR else [f"--runs-dir={runs}"])])


def _domain_lookup(plugins: Plugins) -> Callable[[str], DomainConfig]:
    return lambda name: plugins.domains.get(name).load()


def _tell(loaded: "LoadedConfig") -> None:
    for text in loaded.notes:
        note(text)


def _print(loaded: "LoadedConfig") -> None:
    from alpha_core.config import format_toml

    print(format_toml(loaded.config, loaded.sources), end="")
