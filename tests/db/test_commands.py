"""`alpha db` as a person runs it, on folders of real runs."""

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.db.conftest import Sqld, clean_environment

from alpha_core import load_plugins
from alpha_core.config import ModelConfig, RunConfig, TrainConfig
from alpha_db.address import Address
from alpha_db.connection import Statement
from alpha_db.database import Database
from alpha_train.run import start_run
from alpha_train.run_folder import RunFolder

ALPHA = str(Path(sys.executable).with_name("alpha"))
TEXT = "".join(f"line {i}: the quick brown fox jumps over {i * i} lazy dogs\n" for i in range(150))
Alpha = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs that only the sink `jsonl` saw."""
    home = tmp_path_factory.mktemp("home")
    (home / "text.txt").write_text(TEXT)
    plugins = load_plugins()
    model = ModelConfig(block_size=16, n_layer=1, n_embd=16, n_head=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALPHA_CACHE", str(home / "cache"))
        for tag, rate in (("one", 1e-2), ("two", 2e-2)):
            train = TrainConfig(
                data=str(home / "text.txt"),
                tokenizer="char",
                backend="cpu_ref",
                iters=10,
                batch_size=2,
                lr=rate,
                eval_interval=4,
                eval_iters=1,
                sample_interval=5,
                keep=1,
                sinks=("jsonl",),
                runs_dir=str(home / "runs"),
                tag=tag,
            )
            start_run(RunConfig(model=model, train=train), plugins, prompts=["line ", "the "])
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "home"))


@pytest.fixture
def folders(home: Path) -> dict[str, RunFolder]:
    return {path.name.split("_")[0]: RunFolder(path) for path in (home / "runs").glob("*_*")}


@pytest.fixture
def alpha(home: Path) -> Alpha:
    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ALPHA, *arguments],
            cwd=home,
            env=clean_environment(ALPHA_CACHE=str(home / "cache"), **environ),
            capture_output=True,
            text=True,
            timeout=180,
            stdin=subprocess.DEVNULL,
        )

    return run


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_sync_brings_in_everything_and_then_nothing(alpha: Alpha, home: Path, folders: dict[str, RunFolder]) -> None:
    first = alpha("db", "sync")
    assert first.returncode == 0, first.stderr
    one = folders["one"]
    assert f"{one.run_id}  10 metrics, " in first.stdout
    assert first.stderr == "note: 2 runs looked at, 2 with something new; they are in `file:runs/alpha.db`\n"
    with Database.open(Address.of(f"file:{home / 'runs/alpha.db'}")) as database:
        for table, log in (("metrics", "metrics"), ("events", "events"), ("samples", "samples")):
            expected = sum(len(lines_of(folder.path / f"{log}.jsonl")) for folder in folders.values())
            assert database.read(f"SELECT count(*) FROM {table}") == [(expected,)]
        saved = [row["step"] for row in lines_of(one.path / "events.jsonl") if row["kind"] == "checkpoint_saved"]
        steps = database.read("SELECT step FROM checkpoints WHERE run_id = ? ORDER BY step", (one.run_id,))
        assert [step for (step,) in steps] == sorted(saved)
        assert database.read("SELECT DISTINCT status, latest_step, estimated_params > 1000, n_layer FROM runs") == [
            ("completed", 10, 1, 1)
        ]
        best = one.read_best()
        assert best is not None
        assert database.read("SELECT best_val_loss, best_step FROM runs WHERE run_id = ?", (one.run_id,)) == [
            (best.val_loss, best.step)
        ]
        assert ("python",) in database.read("SELECT id FROM domains")
    again = alpha("db", "sync")
    assert (again.returncode, again.stdout) == (0, "")
    assert "0 with something new" in again.stderr


def test_sync_reads_only_what_was_added_and_counts_what_it_cannot_read(
    alpha: Alpha, folders: dict[str, RunFolder]
) -> None:
    alpha("db", "sync")
    with open(folders["one"].path / "metrics.jsonl", "a") as file:
        file.write(
            '{"step": 11, "loss": 0.5}\n{"step": 12, "loss"\nnull\n[1]\n{"step": "13"}\n{"step": 14, "loss": 0.4'
        )
    (result,) = json.loads(alpha("db", "sync", folders["one"].run_id, "--json").stdout)
    assert (result["metrics"], result["skipped"], result["events"]) == (1, 4, 0)
    with open(folders["one"].path / "metrics.jsonl", "a") as file:
        file.write("}\n")
    (result,) = json.loads(alpha("db", "sync", folders["one"].run_id, "--json").stdout)
    assert (result["metrics"], result["skipped"]) == (1, 0)


def test_a_log_that_was_written_anew_is_read_anew(alpha: Alpha, home: Path, folders: dict[str, RunFolder]) -> None:
    alpha("db", "sync")
    log = folders["one"].path / "metrics.jsonl"
    log.write_text("".join(json.dumps({"step": step, "loss": 9.0}) + "\n" for step in range(1, 100)))
    alpha("db", "sync")
    with Database.open(Address.of(f"file:{home / 'runs/alpha.db'}")) as database:
        assert database.read("SELECT count(*), sum(loss) FROM metrics WHERE run_id = ?", (folders["one"].run_id,)) == [
            (99, 99 * 9.0)
        ]


def test_a_damaged_run_is_named_and_the_others_come_in(alpha: Alpha, folders: dict[str, RunFolder]) -> None:
    (folders["one"].path / "config.json").write_text("{")
    synced = alpha("db", "sync")
    assert synced.returncode == 0
    assert f"run `{folders['one'].run_id}` is left out" in synced.stderr
    assert folders["two"].run_id in synced.stdout


def test_what_the_sink_streamed_is_not_doubled_by_sync(alpha: Alpha, home: Path) -> None:
    settings = ["--data=text.txt", "--tokenizer=char", "--backend=cpu_ref", "--block=16", "--layers=1", "--dim=16"]
    more = ["--heads=2", "--batch=2", "--iters=12", "--eval-interval=5", "--eval-iters=1", "--sample-interval=6"]
    trained = alpha("train", *settings, *more, "--tag=live", "--sinks=jsonl,db", "--quiet")
    assert trained.returncode == 0, trained.stderr
    (folder,) = (home / "runs").glob("live_*")
    with Database.open(Address.of(f"file:{home / 'runs/alpha.db'}")) as database:
        counts = "SELECT (SELECT count(*) FROM metrics), (SELECT count(*) FROM events), (SELECT count(*) FROM samples),"
        counts += " (SELECT count(*) FROM checkpoints)"
        before = database.read(counts)
        logs = [len(lines_of(folder / f"{name}.jsonl")) for name in ("metrics", "events", "samples")]
        saved = sum(row["kind"] == "checkpoint_saved" for row in lines_of(folder / "events.jsonl"))
        assert before == [(*logs, saved)]
        assert database.read("SELECT status FROM runs") == [("completed",)]
        assert alpha("db", "sync", folder.name).returncode == 0
        assert database.read(counts) == before
        assert database.read("SELECT status, error FROM runs") == [("completed", None)]


def test_status_tells_where_it_is_and_what_is_in_it(alpha: Alpha) -> None:
    nothing = alpha("db", "status")
    assert nothing.returncode == 0, nothing.stderr
    assert "version   -" in nothing.stdout
    alpha("db", "sync")
    content = json.loads(alpha("db", "status", "--json").stdout)
    assert content["database"] == "file:runs/alpha.db"
    assert content["rows"]["metrics"] == 20
    assert content["runs"] == {"completed": 2}
    assert content["waiting"] == {}


def test_migrate_says_what_it_did(alpha: Alpha) -> None:
    assert alpha("db", "migrate").stdout == "the database `file:runs/alpha.db` was of version 0 and is of version 3\n"
    assert alpha("db", "migrate").stdout == "the database `file:runs/alpha.db` is of version 3\n"


def test_forget_first_shows_then_deletes_and_leaves_no_trace(
    alpha: Alpha, home: Path, folders: dict[str, RunFolder]
) -> None:
    alpha("db", "sync")
    one = folders["one"]
    (sample, *_) = lines_of(one.path / "samples.jsonl")
    with Database.open(Address.of(f"file:{home / 'runs/alpha.db'}")) as database:
        secret = "what nobody else says " * 30
        database.connection.write([Statement("UPDATE samples SET output = ? WHERE run_id = ?", [(secret, one.run_id)])])
    assert sample["step"]
    shown = alpha("db", "forget", one.run_id)
    assert shown.returncode == 0, shown.stderr
    assert f"there is of run `{one.run_id}`:" in shown.stdout
    assert "`--yes` deletes all of this" in shown.stderr
    assert one.path.exists()
    deleted = alpha("db", "forget", one.run_id, "--yes")
    assert deleted.returncode == 0, deleted.stderr
    assert "  metrics     10 rows\n" in deleted.stdout
    assert f"  folder      {one.path.resolve()}\n" in deleted.stdout
    assert deleted.stderr == "note: looked again: nothing is left\n"
    assert not one.path.exists()
    assert folders["two"].path.exists()
    for file in (home / "runs").glob("alpha.db*"):
        data = file.read_bytes()
        assert one.run_id.encode() not in data
        assert b"what nobody else says" not in data
    with Database.open(Address.of(f"file:{home / 'runs/alpha.db'}")) as database:
        assert database.read("SELECT count(*) FROM metrics") == [(10,)]
    unknown = alpha("db", "forget", one.run_id, "--yes")
    assert unknown.returncode == 2
    assert "there is nothing of a run" in unknown.stderr


def test_forget_reaches_the_server_and_the_file(alpha: Alpha, sqld: Sqld, folders: dict[str, RunFolder]) -> None:
    alpha("db", "sync")
    alpha("db", "sync", f"--db=http://{sqld.host}")
    result = json.loads(
        alpha("db", "forget", folders["one"].run_id, "--yes", "--json", TURSO_DATABASE_URL=f"http://{sqld.host}").stdout
    )
    assert result["rows"]["metrics"] == 20
    with Database.open(Address.of(f"http://{sqld.host}")) as database:
        assert database.read("SELECT count(*) FROM metrics") == [(10,)]


def test_a_database_cannot_make_forget_delete_other_folders(alpha: Alpha, home: Path) -> None:
    (home / "precious").mkdir()
    (home / "precious" / "file").write_text("x")
    alpha("db", "sync")
    with Database.open(Address.of(f"file:{home / 'runs/alpha.db'}")) as database:
        database.connection.write(
            [
                Statement(
                    "INSERT INTO runs (run_id, folder, created_at) VALUES ('precious', ?, '')",
                    [(str(home / "precious"),)],
                ),
                Statement(
                    "INSERT INTO checkpoints (run_id, step, file_path) VALUES ('precious', 1, ?)",
                    [(str(home / "precious" / "x"),)],
                ),
            ]
        )
    assert alpha("db", "forget", "precious", "--yes").returncode == 0
    assert (home / "precious" / "file").exists()


def test_prune_deletes_checkpoints_without_files_and_thins_old_metrics(
    alpha: Alpha, home: Path, folders: dict[str, RunFolder]
) -> None:
    alpha("db", "sync")
    with Database.open(Address.of(f"file:{home / 'runs/alpha.db'}")) as database:
        gone = sum(
            row["kind"] == "checkpoint_saved" and not (folder.path / f"checkpoint-{row['step']}.alph").exists()
            for folder in folders.values()
            for row in lines_of(folder.path / "events.jsonl")
        )
        assert gone > 0
        expected = f"{gone} checkpoints whose files are gone and the metrics of 0 steps\n"
        assert alpha("db", "prune", "--dry-run").stdout == f"would delete {expected}"
        assert alpha("db", "prune").stdout == f"deleted {expected}"
        assert "deleted 0 checkpoints" in alpha("db", "prune").stdout
        alpha("db", "prune", "--keep-every=5", "--older-than=0")
        steps = database.read("SELECT step FROM metrics WHERE run_id = ? ORDER BY step", (folders["one"].run_id,))
        assert [step for (step,) in steps] == [1, 4, 5, 8, 10]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_export_writes_every_row(form: str, alpha: Alpha, home: Path, folders: dict[str, RunFolder]) -> None:
    alpha("db", "sync")
    exported = alpha("db", "export", "--out=all", f"--format={form}")
    assert exported.returncode == 0, exported.stderr
    assert f"all/metrics.{form}  20 rows\n" in exported.stdout
    file = home / "all" / f"metrics.{form}"
    rows = lines_of(file) if form == "jsonl" else list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) == 20
    assert {row["run_id"] for row in rows} == {folder.run_id for folder in folders.values()}
    some = alpha("db", "export", "one", "--out=some", f"--format={form}")
    assert f"some/metrics.{form}  10 rows\n" in some.stdout
    refused = alpha("db", "export", "--out=all", f"--format={form}")
    assert refused.returncode == 2
    assert "is there already" in refused.stderr


def test_the_address_and_the_token_come_from_env_local(alpha: Alpha, home: Path, sqld: Sqld) -> None:
    (home / ".env.local").write_text(f"TURSO_DATABASE_URL=ws://{sqld.host}\nTURSO_AUTH_TOKEN=very-secret\n")
    synced = alpha("db", "sync")
    assert synced.returncode == 0, synced.stderr
    assert f"they are in `ws://{sqld.host}`" in synced.stderr
    shown = alpha("db", "status")
    assert "very-secret" not in shown.stdout + shown.stderr + synced.stdout + synced.stderr
    assert not (home / "runs" / "alpha.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sync", "--runs-dir=nowhere"], 2, "there is no folder `nowhere`"),
        (["sync", "nothing"], 2, "there is no run `nothing`"),
        (["status", "--db=mysql://host/x"], 2, "not at `mysql`"),
        (["status", "--db=libsql://me:secret@host"], 2, "holds a secret"),
        (["status", "--db=https://host?authToken=secret"], 2, "holds a secret"),
        (["status", "--db=http://127.0.0.1:1"], 7, "cannot be reached"),
        (["prune"], 2, "there is no database"),
        (["prune", "--keep-every=-1"], 2, "cannot be below 0"),
        (["export", "--out=x", "--format=xml"], 2, "`--format` is `jsonl` or `csv`"),
        (["sync", "--db=text.txt"], 7, "is no database"),
    ],
)
def test_a_mistake_is_explained(arguments: list[str], code: int, message: str, alpha: Alpha) -> None:
    done = alpha("db", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret@" not in done.stderr
    assert "=secret" not in done.stderr


def test_a_database_that_is_locked_is_an_error_of_one_line(alpha: Alpha, home: Path) -> None:
    alpha("db", "sync")
    other = sqlite3.connect(home / "runs" / "alpha.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    locked = alpha("db", "sync")
    other.close()
    assert locked.returncode == 7
    assert locked.stderr == "error: the database `file:runs/alpha.db` is locked by another process\n"
