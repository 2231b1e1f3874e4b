"""Curves: what is drawn over what."""

import json
from collections.abc import Callable

import pytest

from alpha_core.config import from_dict
from alpha_core.errors import DataError, UnknownNameError
from alpha_train.run_folder import RunFolder
from alpha_train.runs.series import Series, metric_series, panels_of, smoothed

FolderOf = Callable[[str], RunFolder]


def series_of(folder: RunFolder, metrics: list[str], *, over: str = "step") -> list[Series]:
    config = from_dict(folder.read_config())
    return metric_series(folder.run_id, folder.read_metrics().rows, config, metrics, over=over)


def test_losses_are_where_they_were_measured(folder_of: FolderOf) -> None:
    folder = folder_of("done")
    loss, validation = series_of(folder, ["loss", "valLoss"])
    assert loss.x == tuple(range(1, 13))
    assert validation.x == (4, 8, 12)
    assert validation.y == tuple(row["valLoss"] for row in folder.read_metrics().rows if "valLoss" in row)


def test_tokens_are_counted_with_accumulation(folder_of: FolderOf) -> None:
    folder = folder_of("done")
    (loss,) = series_of(folder, ["loss"], over="tokens")
    assert loss.x[0] == 3 * 2 * 16
    assert loss.x[-1] == 12 * 3 * 2 * 16


def test_time_goes_on_after_a_resumption(folder_of: FolderOf) -> None:
    folder = folder_of("done")
    (loss,) = series_of(folder, ["loss"], over="time")
    rows = folder.read_metrics().rows
    assert rows[6]["elapsed_ms"] < rows[5]["elapsed_ms"]  # the clock started again
    assert list(loss.x) == sorted(loss.x)
    assert loss.x[-1] == pytest.approx((rows[5]["elapsed_ms"] + rows[-1]["elapsed_ms"]) / 1000)


def test_what_is_not_finite_is_left_out(folder_of: FolderOf) -> None:
    folder = folder_of("half")
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 6, "loss": None, "lr": 0.1}) + "\n")
    loss, rate = series_of(folder, ["loss", "lr"])
    assert loss.x[-1] == 5
    assert rate.x[-1] == 6


def test_short_names_and_repetitions_are_understood(folder_of: FolderOf) -> None:
    folder = folder_of("done")
    found = series_of(folder, ["tok/s", "tokens_per_sec", "grad"])
    assert [line.metric for line in found] == ["tokens_per_sec", "gradNorm"]


def test_a_name_that_is_no_metric_is_refused_with_a_suggestion(folder_of: FolderOf) -> None:
    folder = folder_of("done")
    with pytest.raises(UnknownNameError, match="no run has a metric `gradnorm`") as error:
        series_of(folder, ["gradnorm"])
    assert error.value.hint == "did you mean `gradNorm`?"


def test_a_run_without_validation_text_has_no_validation_curve(folder_of: FolderOf) -> None:
    folder = folder_of("half")
    rows = [{k: v for k, v in row.items() if k != "valLoss"} for row in folder.read_metrics().rows]
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [line.metric for line in series_of(folder, ["loss", "valLoss"])] == ["loss"]


def test_a_run_without_metrics_says_where_they_come_from(folder_of: FolderOf) -> None:
    folder = folder_of("half")
    (folder.path / "metrics.jsonl").unlink()
    with pytest.raises(DataError, match="has no metrics") as error:
        series_of(folder, ["loss"])
    assert "`jsonl`" in str(error.value.hint)


def test_losses_share_a_panel_and_other_units_do_not() -> None:
    lines = [Series("a", metric, (1.0,), (1.0,)) for metric in ("loss", "lr", "valLoss", "gradNorm")]
    titles = [(title, [line.metric for line in group]) for title, group in panels_of(lines)]
    assert titles == [
        ("loss and valLoss (nats per token)", ["loss", "valLoss"]),
        ("lr", ["lr"]),
        ("gradNorm", ["gradNorm"]),
    ]


def test_smoothing_is_the_mean_of_the_last_values() -> None:
    line = Series("a", "loss", (1.0, 2.0, 3.0, 4.0), (4.0, 2.0, 6.0, 10.0))
    assert smoothed(line, 2).y == (4.0, 3.0, 4.0, 8.0)
    assert smoothed(line, 1) == line
    assert smoothed(line, 100).y == (4.0, 3.0, 4.0, 5.5)
