"""The csv sink: a table with fixed columns, whole after crashes and resumptions."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.train.test_run import StopAfter, stored_config

from alpha_core import Plugins
from alpha_core.config import RunConfig
from alpha_core.errors import UsageError
from alpha_core.observer import RunInfo
from alpha_train import resume_run, start_run
from alpha_train.csv_sink import COLUMNS, CsvSink


def run_info(folder: Path | None) -> RunInfo:
    return RunInfo(run_id="r", folder=folder, config={}, parameters=1, iters=10)


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def write(folder: Path, **metrics: object) -> None:
    sink = CsvSink(run_info(folder))
    sink.on_step(metrics)
    sink.close()


def test_a_row_is_on_disk_at_once(tmp_path: Path) -> None:
    sink = CsvSink(run_info(tmp_path))
    assert (tmp_path / "metrics.csv").read_text() == ",".join(COLUMNS) + "\n"
    sink.on_step({"step": 1, "loss": np.float32(2.5), "lr": 1e-4, "other": 7})
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1] == "1,2.5,,0.0001" + "," * (len(COLUMNS) - 4)
    sink.close()


def test_numbers_survive_exactly_and_so_does_what_is_not_finite(tmp_path: Path) -> None:
    values = {"loss": 0.1 + 0.2, "valLoss": math.nan, "lr": math.inf, "gradNorm": -math.inf, "clip_coef": 1e-300}
    write(tmp_path, step=1, **values)
    (row,) = rows(tmp_path)
    for name, value in values.items():
        assert float(row[name]) == value or (math.isnan(value) and math.isnan(float(row[name])))


def test_a_file_that_is_there_keeps_its_columns(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text('loss,"a, b",step\n2.5,x,1\n')
    write(tmp_path, step=2, loss=2.0, valLoss=2.25)
    assert rows(tmp_path) == [{"loss": "2.5", "a, b": "x", "step": "1"}, {"loss": "2.0", "a, b": "", "step": "2"}]


@pytest.mark.parametrize("content", ["", "step,lo"])
def test_a_file_without_a_header_gets_one(content: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    write(tmp_path, step=1, loss=2.0)
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [("1", "2.0")]


def test_a_row_that_a_crash_cut_off_takes_no_other_with_it(tmp_path: Path) -> None:
    write(tmp_path, step=1, loss=2.0)
    path = tmp_path / "metrics.csv"
    path.write_text(path.read_text() + "2,1.")
    write(tmp_path, step=2, loss=1.5)
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [("1", "2.0"), ("2", "1."), ("2", "1.5")]


def test_a_run_without_a_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a run folder"):
        CsvSink(run_info(None))


def test_a_stopped_and_resumed_run_has_one_table(make_config: Callable[..., RunConfig], plugins: Plugins) -> None:
    folder = start_run(make_config(sinks=("csv", "jsonl")), plugins, stop=StopAfter(5)).folder
    resume_run(folder, stored_config(folder), plugins)
    table = rows(folder.path)
    assert [int(row["step"]) for row in table] == list(range(1, 13))
    for row, logged in zip(table, folder.read_metrics().rows, strict=True):
        for name in COLUMNS:
            assert (float(row[name]) if row[name] else None) == logged.get(name), name
