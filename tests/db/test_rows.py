"""Rows: what is written twice is there once, and comes back as it was."""

import math
import sqlite3
from contextlib import closing, suppress

from hypothesis import given
from hypothesis import strategies as st
from tests.db.conftest import RUN

from alpha_core.errors import DataError
from alpha_core.observer import Event, Sample
from alpha_db.database import Database
from alpha_db.row import Row, stored_value
from alpha_db.run_rows import event_row, metrics_row, sample_row
from alpha_db.run_store import DatabaseRuns
from alpha_db.schema import TABLES

METRICS = {
    "step": 3,
    "loss": 2.5,
    "valLoss": 2.25,
    "gradNorm": 1.0,
    "per_layer_grad_norms": [1.0, 2.0],
    "skipped_steps": 0,
    "unheard_of": {"a": [1, None]},
    "note": "new",
}


def test_metrics_come_back_under_their_names(database: Database) -> None:
    database.write([Row("runs", {"run_id": RUN}), metrics_row(RUN, METRICS)])
    assert DatabaseRuns(database).metrics(RUN) == [METRICS]


def test_numbers_that_are_not_finite_are_none(file_database: Database) -> None:
    file_database.write([metrics_row(RUN, {"step": 1, "loss": math.nan, "lr": math.inf, "other": math.nan})])
    assert DatabaseRuns(file_database).metrics(RUN) == [{"step": 1}]


def test_everything_twice_is_everything_once(database: Database) -> None:
    rows = [
        Row("runs", {"run_id": RUN, "status": "active"}),
        *(metrics_row(RUN, {"step": step, "loss": 1.0 / step}) for step in range(1, 1201)),
        event_row(RUN, Event(kind="note", message="one", step=1)),
        sample_row(RUN, 1, 0, Sample(prompt="a", output="b")),
        Row("checkpoints", {"run_id": RUN, "step": 5, "filename": "checkpoint-5.alph"}),
        Row("domains", {"id": "python", "summary": "code"}),
    ]
    for _ in range(2):
        database.write(rows)
    counts = [
        database.read(f"SELECT count(*) FROM {table}")[0][0] for table in ("runs", "metrics", "events", "samples")
    ]
    assert counts == [1, 1200, 1, 1]
    assert database.read("SELECT checkpoint_count, latest_checkpoint_step, metric_count FROM run_summary") == [
        (1, 5, 1200)
    ]


def test_a_step_that_is_taken_again_is_replaced_with_all_it_had(file_database: Database) -> None:
    file_database.write([metrics_row(RUN, {"step": 1, "loss": 2.0, "valLoss": 3.0, "other": 1})])
    file_database.write([metrics_row(RUN, {"step": 1, "loss": 1.0})])
    assert DatabaseRuns(file_database).metrics(RUN) == [{"step": 1, "loss": 1.0}]


def test_samples_of_a_step_that_is_taken_again_are_kept_beside_the_old_ones(file_database: Database) -> None:
    for output in ("first", "second"):
        file_database.write([sample_row(RUN, 10, 0, Sample(prompt="p", output=output))])
    assert file_database.read("SELECT output FROM samples ORDER BY created_at") == [("first",), ("second",)]


def test_a_run_knows_its_newest_step_and_its_best_evaluation(database: Database) -> None:
    store = DatabaseRuns(database)
    database.write([Row("runs", {"run_id": RUN})])
    for step, validation in ((1, None), (2, 3.0), (3, 2.0), (4, 2.5), (5, None)):
        values = {"step": step, "loss": float(step)} | ({"valLoss": validation} if validation else {})
        database.write([metrics_row(RUN, values)])
    run = store.run(RUN)
    assert run is not None
    assert (run.metrics["step"], run.metrics["loss"], run.best_val_loss, run.best_step) == (5, 5.0, 2.0, 3)


def test_a_run_keeps_when_it_was_created(file_database: Database) -> None:
    file_database.write([Row("runs", {"run_id": RUN, "created_at": "2026-01-01T00:00:00.000Z", "domain": "chat"})])
    file_database.write([Row("runs", {"run_id": RUN, "created_at": "2026-02-01T00:00:00.000Z", "seed": 1})])
    assert file_database.read("SELECT created_at, domain, seed FROM runs") == [("2026-01-01T00:00:00.000Z", "chat", 1)]


def test_a_silent_run_is_stale_and_alive_again_with_its_next_metrics(database: Database) -> None:
    store = DatabaseRuns(database)
    database.write([Row("runs", {"run_id": RUN, "status": "active", "updated_at": "2026-01-01T00:00:00.000Z"})])
    assert store.runs()[0].status == "stale"
    assert database.mark_stale() == 1
    assert database.read("SELECT status FROM runs") == [("stale",)]
    database.write([metrics_row(RUN, {"step": 1, "loss": 1.0})])
    assert store.runs()[0].status == "active"
    database.write([Row("runs", {"run_id": RUN, "status": "completed", "updated_at": "2026-01-01T00:00:00.000Z"})])
    assert database.mark_stale() == 0
    assert store.runs()[0].status == "completed"


def test_a_run_is_not_stale_after_179_seconds_but_after_181(file_database: Database) -> None:
    ago = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{} seconds')"
    for seconds, status in ((170, "active"), (181, "stale")):
        file_database.write([Row("runs", {"run_id": RUN, "status": "active"})])
        ((then,),) = file_database.read(f"SELECT {ago.format(seconds)}")
        file_database.write([Row("runs", {"run_id": RUN, "updated_at": then})])
        assert DatabaseRuns(file_database).runs()[0].status == status


def test_runs_are_in_the_order_of_their_creation(file_database: Database) -> None:
    for name, month in (("c", 3), ("a", 1), ("b", 2)):
        file_database.write([Row("runs", {"run_id": name, "created_at": f"2026-0{month}-01T00:00:00.000Z"})])
    assert [run.run_id for run in DatabaseRuns(file_database).runs()] == ["a", "b", "c"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["loss", "valLoss", "per_layer_grad_norms", "cusum_alerts"]) | st.text(), JSON))
def test_a_row_of_any_metrics_survives_its_line(metrics: dict[str, object]) -> None:
    row = metrics_row(RUN, {**metrics, "step": 1})
    line = row.to_line()
    assert "\n" not in line
    assert Row.from_line(line.encode("utf-8", "replace")).values.keys() == row.values.keys()


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: repr(value).encode()))
def test_any_line_is_a_row_or_refused(line: bytes) -> None:
    with suppress(DataError):
        assert Row.from_line(line).table in TABLES


@given(JSON)
def test_every_value_can_be_stored(value: object) -> None:
    stored = stored_value(value)
    with closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute("SELECT ?", (stored,)).fetchone() == (stored,)
