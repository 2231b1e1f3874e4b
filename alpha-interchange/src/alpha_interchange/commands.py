"""`alpha export` and `alpha import`."""

import sys
from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR
from alpha_core.errors import UsageError
from alpha_core.suggest import did_you_mean

__all__ = ["add_commands"]

_EXPORT_EXAMPLES = (
    "alpha export last --to=hf --out=my-model",
    "alpha export last --to=safetensors --out=my-model.safetensors --checkpoint=latest",
    "alpha export 20261121 --to=gguf --out=my-model.gguf",
)
_IMPORT_EXAMPLES = (
    "alpha import ~/models/gpt2 --from=hf",
    "alpha import my-model.safetensors --from=safetensors --out=runs/mine",
    "alpha import ~/models/tiny --from=hf --tokenizer=tokenizer.json",
)
_FORMATS_OUT = ("safetensors", "hf", "gguf")
_FORMATS_IN = ("safetensors", "hf")


def add_commands(app: CommandApp) -> None:
    """Adds the commands of this package."""

    @app.command(
        "export",
        help="Writes a model for another toolkit.\n\n`hf` is a folder for transformers, `gguf` a file for llama.cpp,"
        " `safetensors` one file with a whole model of Alpha.",
        examples=_EXPORT_EXAMPLES,
    )
    def export(
        run: Annotated[str, "Its id, the beginning of it, its folder, or `last`."] = "last",
        /,
        *,
        to: Annotated[str, "The format: `safetensors`, `hf` or `gguf`."],
        out: Annotated[Path, "The file to write, or for `hf` the folder."],
        checkpoint: Annotated[str, "`best` by validation loss, `latest`, or a step."] = "best",
        force: Annotated[bool, "Replace what is there."] = False,
        runs_dir: Annotated[Path, "Folder that holds the run folders."] = Path(DEFAULT_RUNS_DIR),
    ) -> None:
        from alpha_train import find_run
        from alpha_train.stored_model import read_model

        _check_format(to, _FORMATS_OUT)
        _check_free(out, is_folder=to == "hf", force=force)
        if to == "gguf":
            from alpha_interchange.gguf_export import require_gguf

            require_gguf()
        stored = read_model(find_run(runs_dir, run), app.plugins, checkpoint)
        notes = list(stored.checkpoint.notes)
        if to == "hf":
            from alpha_interchange.hf_folder import write_hf

            notes += write_hf(out, stored)
        elif to == "gguf":
            from alpha_interchange.gguf_export import write_gguf

            notes += write_gguf(out, stored)
        else:
            from alpha_interchange.alpha_safetensors import write_alpha_safetensors

            write_alpha_safetensors(out, stored)
        _note(notes)
        print(f"run {stored.folder.run_id}, step {stored.checkpoint.step}: `{out}`")

    @app.command(
        "import",
        help="Makes a run folder of another toolkit's model.\n\nIt can be sampled from, evaluated with `--data`, and"
        " trained on with `alpha train --init-from=FOLDER`.",
        examples=_IMPORT_EXAMPLES,
    )
    def import_(
        source: Annotated[Path, "For `hf` a folder, for `safetensors` a file."],
        /,
        *,
        from_: Annotated[str, "The format: `safetensors`, as `alpha export` writes it, or `hf`, of transformers."],
        tokenizer: Annotated[Path | None, "A `tokenizer.json` of Alpha, in place of the model's own."] = None,
        out: Annotated[Path | None, "The run folder to make; else one with a new id in `--runs-dir`."] = None,
        runs_dir: Annotated[Path, "Folder that holds the run folders."] = Path(DEFAULT_RUNS_DIR),
    ) -> None:
        from alpha_core.errors import TokenizerError
        from alpha_core.run_id import new_run_id
        from alpha_interchange.foreign import write_run
        from alpha_train.json_file import read_json

        _check_format(from_, _FORMATS_IN)
        own = read_json(tokenizer, TokenizerError) if tokenizer is not None else None
        if from_ == "hf":
            from alpha_interchange.hf_folder import read_hf

            imported = read_hf(source, own)
        else:
            from alpha_interchange.alpha_safetensors import read_alpha_safetensors

            if own is not None:
                raise UsageError("`--tokenizer` is for `--from=hf`; this file has its own")
            imported = read_alpha_safetensors(source)
        app.plugins.load_tokenizer(imported.tokenizer)
        run = write_run(out if out is not None else runs_dir / new_run_id("imported"), imported)
        _note(imported.notes)
        print(run.path)


def _check_format(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        listed = ", ".join(f"`{one}`" for one in known)
        raise UsageError(f"there is no format `{name}`; there are {listed}", hint=did_you_mean(name, known))


def _check_free(out: Path, *, is_folder: bool, force: bool) -> None:
    if is_folder and out.is_dir():
        if any(out.iterdir()) and not force:
            raise UsageError(f"the folder `{out}` is not empty", hint="`--force` replaces files in it")
    elif out.is_dir():
        raise UsageError(f"`{out}` is a folder", hint="name a file")
    elif out.exists() and (is_folder or not force):
        raise UsageError(f"`{out}` exists", hint=None if is_folder else "`--force` replaces it")


def _note(notes: "list[str] | tuple[str, ...]") -> None:
    for text in notes:
        print(f"note: {text}", file=sys.stderr)
