"""`alpha runs` with a database beside the folders, and without the folders."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runs.conftest import Alpha

from alpha_train.run_folder import RunFolder

FolderOf = Callable[[str], RunFolder]


@pytest.fixture
def synced(alpha: Alpha) -> Alpha:
    """The command, after the runs were brought into a database."""
    done = alpha("db", "sync")
    assert done.returncode == 0, done.stderr
    return alpha


@pytest.fixture
def stored(synced: Alpha, home: Path) -> Alpha:
    """The command, where only the database is left."""
    for folder in (home / "runs").glob("*_*"):
        shutil.rmtree(folder)
    return synced


def test_the_list_is_the_same_from_the_database(alpha: Alpha, home: Path) -> None:
    before = json.loads(alpha("runs", "list", "--json").stdout)
    assert alpha("db", "sync").returncode == 0
    after = json.loads(alpha("runs", "list", "--json").stdout)
    for run in before:
        run["folder"] = str(home / run["folder"])
    assert after == before


def test_everything_but_files_is_there_without_the_folders(stored: Alpha) -> None:
    listed = stored("runs", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.split("_")[0] for line in listed.stdout.splitlines()[1:]] == ["done", "half"]
    shown = stored("runs", "show", "half")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"activation +silu  \(default gelu\)", shown.stdout)
    assert re.search(r"step 4 +\S+ KiB", shown.stdout)
    assert "validation loss" in shown.stdout
    compared = stored("runs", "compare", "done", "half", "--no-plot")
    assert re.search(r"lr +0\.01 +0\.02", compared.stdout), compared.stderr
    tail = stored("runs", "tail", "done", "--lines=2")
    assert [line.split()[1] for line in tail.stdout.splitlines()] == ["11/12", "12/12"]
    assert tail.stderr.endswith(" is completed\n")
    (line,) = json.loads(stored("runs", "plot", "done", "--metric=valLoss", "--json").stdout)
    assert [x for x, _ in line["points"]] == [4, 8, 12]


def test_a_run_that_only_its_folder_knows_is_listed_too(synced: Alpha, home: Path, folder_of: FolderOf) -> None:
    new = home / "runs" / "new_20991231235959_abcd"
    shutil.copytree(folder_of("half").path, new)
    names = [run["runId"] for run in json.loads(synced("runs", "list", "--json").stdout)]
    assert names == [folder_of("done").run_id, folder_of("half").run_id, new.name]
    assert f"run {new.name}: stopped" in synced("runs", "show").stdout


def test_a_log_that_has_grown_is_fresher_than_the_database(synced: Alpha, folder_of: FolderOf) -> None:
    with open(folder_of("half").path / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 6, "loss": 0.125}) + "\n")
    half = json.loads(synced("runs", "list", "--match=half", "--json").stdout)[0]
    assert (half["step"], half["loss"]) == (6, 0.125)


def test_a_database_that_is_away_is_told_of_and_the_folders_are_shown(alpha: Alpha) -> None:
    listed = alpha("runs", "list", TURSO_DATABASE_URL="http://127.0.0.1:1")
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) == 3
    assert "cannot be reached" in listed.stderr
    assert listed.stderr.endswith("these are the run folders alone\n")


@pytest.mark.parametrize("database", [True, False])
def test_filters_and_formats_work_from_both(database: bool, alpha: Alpha, folder_of: FolderOf) -> None:
    if database:
        alpha("db", "sync")

    def listed(*flags: str) -> list[str]:
        rows = csv.DictReader(io.StringIO(alpha("runs", "list", "--csv", *flags).stdout))
        return [row["runId"].split("_")[0] for row in rows]

    assert listed() == ["done", "half"]
    assert listed("--status=completed") == ["done"]
    assert listed("--match=hal") == ["half"]
    assert listed("--limit=1") == ["half"]
    assert listed("--days=1") == ["done", "half"]
    assert listed("--domain=chat") == []
    best = json.loads(alpha("runs", "best", "--json").stdout)
    assert sorted(run["bestValLoss"] for run in best) == [run["bestValLoss"] for run in best]
    assert [run["runId"] for run in json.loads(alpha("runs", "best", "--top=1", "--json").stdout)] == [best[0]["runId"]]
    last = json.loads(alpha("runs", "best", "--metric=loss", "--match=done", "--json").stdout)
    assert [run["runId"] for run in last] == [folder_of("done").run_id]


def test_compare_puts_curves_at_the_same_places(alpha: Alpha, folder_of: FolderOf) -> None:
    done, half = folder_of("done"), folder_of("half")
    rows = {run.run_id: {row["step"]: row["loss"] for row in run.read_metrics().rows} for run in (done, half)}
    content = json.loads(alpha("runs", "compare", "done", "half", "--metric=loss", "--points=3", "--json").stdout)
    (curve,) = content["curves"]
    assert curve["x"] == [1, 3, 5]
    for run, values in curve["values"].items():
        assert values == [rows[run][step] for step in (1, 3, 5)]
    assert curve["differences"] == {
        half.run_id: [rows[half.run_id][step] - rows[done.run_id][step] for step in (1, 3, 5)]
    }
    text = alpha("runs", "compare", "done", "half", "--metric=loss", "--over=tokens", "--points=2")
    assert text.returncode == 0, text.stderr
    assert re.search(r"^tokens +\S+ +\S+ +half\S+ - first$", text.stdout, re.MULTILINE)
    assert f"•• {done.run_id} loss" in text.stdout
    table = alpha("runs", "compare", "done", "half", "--metric=loss", "--over=time", "--csv").stdout
    assert table.splitlines()[0] == "metric,time,run,value,above"
    assert len(table.splitlines()) > 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--status=done"], "`--status` is one of `running`"),
        (["list", "--limit=-1"], "cannot be below 0"),
        (["best", "--metric=lr"], "`--metric` is `valLoss` or `loss`"),
        (["best", "--top=0"], "`--top` is a number from 1 on"),
        (["compare", "done", "half", "--points=0"], "`--points` is a number from 1 on"),
    ],
)
def test_a_mistake_is_explained(arguments: list[str], message: str, alpha: Alpha) -> None:
    done = alpha("runs", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
