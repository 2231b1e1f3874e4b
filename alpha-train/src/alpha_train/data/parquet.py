"""Parquet: a table whose rows are documents. Needs `pyarrow`, which the extra `alpha-train[parquet]` installs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpha_core.errors import DataError, NotInstalledError
from alpha_train.data.document import Piece
from alpha_train.data.record import pieces_of_record, record_keys

__all__ = ["read_parquet"]

_ROWS_AT_ONCE = 256


def read_parquet(path: Path, text_key: str) -> Iterator[Piece]:
    """Yields the documents of a file, row by row; of its columns only those that are needed are read.

    Raises `NotInstalledError` without `pyarrow`, and `DataError` for a file or a row that cannot be used.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise NotInstalledError(
            f"`{path}` is Parquet, and `pyarrow`, which reads it, is not installed: `pip install alpha-train[parquet]`"
        ) from error
    with open(path, "rb") as stream:
        try:
            with parquet.ParquetFile(stream, page_checksum_verification=True) as file:
                yield from _read(path, file, text_key)
        except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
            reason = "".join(character if character.isprintable() else " " for character in str(error)).strip()
            raise DataError(f"`{path}` is no Parquet file, or a damaged one: {reason}") from error


def _read(path: Path, file: Any, text_key: str) -> Iterator[Piece]:
    try:
        columns = record_keys(file.schema_arrow.names, text_key)
    except DataError as error:
        raise DataError(f"`{path}`: {error.message}", hint=error.hint) from error
    number = 0
    for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(columns), use_threads=False):
        for row in batch.to_pylist():
            number += 1
            try:
                yield from pieces_of_record(row, text_key)
            except DataError as error:
                raise DataError(f"`{path}`, row {number}: {error.message}", hint=error.hint) from error
