"""Following a log that grows."""

import json
import threading
import time
from pathlib import Path

from alpha_train.runs.tail import follow, metrics_line


def line(step: int) -> str:
    return json.dumps({"step": step, "loss": 1.0}) + "\n"


def test_a_line_that_is_half_written_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    over = threading.Event()

    def write() -> None:
        with open(log, "w", buffering=1) as file:
            file.write(line(1) + line(2)[:9])
            file.flush()
            time.sleep(0.6)
            file.write(line(2)[9:] + "no JSON\n" + line(3))
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    steps = [row["step"] for row in follow(log, lines=5, is_over=over.is_set)]
    writer.join()
    assert steps == [1, 2, 3]


def test_only_the_last_lines_come_first(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text("".join(map(line, range(1, 11))))
    assert [row["step"] for row in follow(log, lines=3, is_over=lambda: True)] == [8, 9, 10]
    assert list(follow(log, lines=0, is_over=lambda: True)) == []


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    assert list(follow(tmp_path / "metrics.jsonl", lines=3, is_over=lambda: True)) == []


def test_a_line_names_what_is_known() -> None:
    metrics = {"step": 7, "loss": 3.21, "valLoss": None, "lr": 3e-4, "gradNorm": 1.25, "tokens_per_sec": 14_200.0}
    assert metrics_line(metrics, 1000) == "step    7/1000  loss 3.2100  lr 3.00e-04  grad 1.25  14.2k tok/s"
    assert metrics_line({"step": 7}, 10) == "step  7/10"
