"""The suite `data`: a folder of text into tokens on disk, and batches of windows out of them."""

import shutil
from pathlib import Path

from alpha_bench.case import Case, Suite, Work
from alpha_bench.session import Session
from alpha_bench.suites.text import text_facts, text_of
from alpha_train.data import Dataset, PackedWindows, RandomWindows, prepare

__all__ = ["SUITE"]

_SIZE = 5_000_000
"""Characters of text."""
_FILES = 20
_SHAPES = ((16, 256), (64, 1024))
_QUICK_SHAPES = ((2, 16),)
_KINDS = {"random": RandomWindows, "packed": PackedWindows}


def cases(session: Session) -> list[Case]:
    shapes = _QUICK_SHAPES if session.quick else _SHAPES
    windows = [_windows(session, kind, batch, block) for kind in _KINDS for batch, block in shapes]
    return [_tokenize(session, "char"), _tokenize(session, "bpe"), *windows]


def _tokenize(session: Session, tokenizer: str) -> Case:
    def ready(session: Session) -> Work:
        folder, cache = _text_folder(session), session.folder / "cache"
        info = session.plugins.tokenizers.get(tokenizer)
        learned = prepare(str(folder), info, cache=session.folder / "learned").tokenizer

        def run(times: int) -> None:
            for _ in range(times):
                shutil.rmtree(cache, ignore_errors=True)
                prepare(str(folder), learned, cache=cache)

        return Work(run=run, work={"text_bytes": _size_of(folder)})

    parameters = {"tokenizer": tokenizer, "files": _FILES, **text_facts(session, _SIZE)}
    return Case(suite="data", id=f"folder-{tokenizer}", parameters=parameters, prepare=ready, alone=True, heavy=True)


def _windows(session: Session, kind: str, batch_size: int, block_size: int) -> Case:
    def ready(session: Session) -> Work:
        dataset = _dataset(session)
        windows = _KINDS[kind](dataset.train.tokens, block_size=block_size, batch_size=batch_size, seed=0)
        step = 0

        def run(times: int) -> None:
            nonlocal step
            for _ in range(times):
                windows.batch(step)
                step += 1

        return Work(run=run, work={"windows": batch_size, "tokens": batch_size * block_size})

    parameters = {"kind": kind, "batch_size": batch_size, "block_size": block_size, **text_facts(session, _SIZE)}
    return Case(
        suite="data", id=f"windows-{kind}-{batch_size}x{block_size}", parameters=parameters, prepare=ready, alone=True
    )


def _dataset(session: Session) -> Dataset:
    """Returns the text in characters, on disk and memory-mapped."""
    info = session.plugins.tokenizers.get("char")
    return prepare(str(_text_folder(session)), info, cache=session.folder / "learned")


def _text_folder(session: Session) -> Path:
    """Returns a folder with the text in several files."""
    folder = session.folder / "text"
    if not folder.exists():
        folder.mkdir()
        text = text_of(session, _SIZE)
        size = -(-len(text) // _FILES)
        for index in range(_FILES):
            part = text[index * size : (index + 1) * size]
            (folder / f"{index:02}.txt").write_text(part, encoding="utf-8", newline="")
    return folder


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


SUITE = Suite(
    name="data",
    summary="a folder into tokens, and windows out of them",
    cases=cases,
    needs_backend=False,
    needs_ceilings=False,
)
