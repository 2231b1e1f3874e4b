"""`alpha sample`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR, SampleConfig, settings_of
from alpha_train.commands.notes import note

__all__ = ["add_sample"]

_EXAMPLES = (
    "alpha sample last",
    "alpha sample 20261121 --prompt='def ' --temperature=0.7 --steps=300",
    "alpha sample runs/20261121120000_ab12 --checkpoint=latest --num-samples=3",
)


def add_sample(app: CommandApp) -> None:
    """Adds the command `sample`."""

    @app.config_command(
        "sample",
        configs=[SampleConfig],
        help="Writes text with the model of a run.",
        examples=_EXAMPLES,
    )
    def sample(
        flags: Mapping[str, str],
        run: Annotated[str, "Its id, the beginning of it, its folder, or `last`."] = "last",
        /,
        *,
        prompt: Annotated[str | None, "Text to continue; by default the first prompt of the run's domain."] = None,
        checkpoint: Annotated[str, "`best` by validation loss, `latest`, or a step."] = "best",
        backend: Annotated[str, "Backend that computes."] = "auto",
        runs_dir: Annotated[Path, "Folder that holds the run folders."] = Path(DEFAULT_RUNS_DIR),
    ) -> None:
        from alpha_core.config import load_config
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
        model = load_run(folder, app.plugins, checkpoint=checkpoint, backend=backend)
        for text in model.checkpoint.notes:
            note(text)
        if prompt is None:
            prompts = loaded.domain_config.prompts if loaded.domain_config is not None else ()
            prompt = prompts[0] if prompts else ""
        config = loaded.config.sample
        sampler = model.sampler()
        for row in range(config.num_samples):
            if config.num_samples > 1:
                print(f"--- sample {row + 1} ---")
            _write(prompt)
            for piece in sampler.stream(prompt, config, row):
                _write(piece)
            _write("\n")


def _write(text: str) -> None:
    """Writes text at once; a half character, which a byte-level tokenizer can leave, becomes a question mark."""
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8"))
    sys.stdout.flush()
