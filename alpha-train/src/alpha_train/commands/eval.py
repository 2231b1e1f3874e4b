"""`alpha eval`."""

import json as json_format
from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR
from alpha_train.commands.notes import ProgressLine, note
from alpha_train.commands.weights_option import WEIGHTS_HELP

__all__ = ["add_eval"]

_EXAMPLES = (
    "alpha eval last",
    "alpha eval last --checkpoint=latest --json",
    "alpha eval 20261121 --data=other.txt",
    "alpha eval last --weights=int8",
)


def add_eval(app: CommandApp) -> None:
    """Adds the command `eval`."""

    @app.command(
        "eval",
        help="Measures a run on held-out text.\n\nPrints loss, perplexity and bits per byte.",
        examples=_EXAMPLES,
    )
    def evaluate(
        run: Annotated[str, "Its id, the beginning of it, its folder, or `last`."] = "last",
        /,
        *,
        data: Annotated[str | None, "Other text, all of which is used; by default the run's validation text."] = None,
        checkpoint: Annotated[str, "`best` by validation loss, `latest`, or a step."] = "best",
        batches: Annotated[int, "Batches, spread over the text; 0 takes all of it."] = 0,
        weights: Annotated[str | None, WEIGHTS_HELP] = None,
        backend: Annotated[str, "Backend that computes."] = "auto",
        runs_dir: Annotated[Path, "Folder that holds the run folders."] = Path(DEFAULT_RUNS_DIR),
        json: Annotated[bool, "Print JSON."] = False,
    ) -> None:
        from alpha_train.evaluation import evaluate_run
        from alpha_train.inference import load_run
        from alpha_train.run_folder import find_run

        model = load_run(find_run(runs_dir, run), app.plugins, checkpoint=checkpoint, backend=backend, weights=weights)
        for text in model.checkpoint.notes:
            note(text)
        with ProgressLine() as progress:
            result = evaluate_run(model, data=data, batches=batches, note=note, progress=progress)
        if json:
            print(json_format.dumps(result.to_json()))
            return
        print(f"run {model.folder.run_id}, step {model.step}: {result.tokens} tokens of {result.text}")
        print(f"loss           {result.loss:.4f} nats per token")
        print(f"perplexity     {result.perplexity:.3f}")
        print(f"bits per byte  {result.bits_per_byte:.4f}")
