"""The outbox: what was put into it comes out, whatever happens to its process."""

import subprocess
import sys
from pathlib import Path

import pytest

from alpha_core.errors import UsageError
from alpha_report.outbox import Outbox


def step(number: int) -> dict[str, object]:
    return {"type": "metrics", "metrics": [{"step": number}]}


def other(number: int) -> dict[str, object]:
    return {"type": "heartbeat", "step": number}


def contents(outbox: Outbox, limit: int = 10**6) -> list[object]:
    return [record.content for record in outbox.first(limit)]


def test_records_come_out_in_order_until_they_are_confirmed(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "box")
    records = [step(1), other(2), step(3), step(4), other(5)]
    for record in records:
        outbox.add(record)
    assert contents(outbox) == records
    outbox.confirm(outbox.first(3))
    assert contents(outbox) == records[3:]
    assert contents(outbox, 1) == records[3:4]
    outbox.close()
    again = Outbox(tmp_path / "box")
    assert contents(again) == records[3:]
    again.confirm(again.first(9))
    assert len(again) == 0
    again.close()
    assert not (tmp_path / "box" / "outbox.jsonl").exists()


def test_beyond_its_capacity_the_oldest_steps_make_way(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, capacity=4)
    outbox.add(other(0))
    for number in range(1, 8):
        outbox.add(step(number))
    outbox.add(other(8))
    assert contents(outbox) == [other(0), step(6), step(7), other(8)]
    assert outbox.lost == 5
    for number in range(9, 13):
        outbox.add(other(number))
    assert contents(outbox) == [other(number) for number in range(9, 13)]
    outbox.close()


def test_a_file_that_grew_is_written_anew(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, capacity=3)
    for number in range(45_000):
        outbox.add(step(number))
    assert (tmp_path / "outbox.jsonl").read_bytes().count(b"\n") <= 20_001
    assert contents(outbox) == [step(number) for number in range(44_997, 45_000)]
    outbox.close()


def test_a_file_cut_off_anywhere_gives_what_was_whole(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "whole")
    for number in range(4):
        outbox.add(step(number))
    outbox.confirm(outbox.first(1))
    outbox.close()
    content = (tmp_path / "whole" / "outbox.jsonl").read_bytes()
    ends = [0, *(place + 1 for place, byte in enumerate(content) if byte == 10)]
    for length in sorted({*range(0, len(content), 5), *ends, *(end - 1 for end in ends[1:])}):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "outbox.jsonl").write_bytes(content[:length])
        outbox = Outbox(folder)
        whole = sum(end <= length + 1 for end in ends[1:])  # a line is whole without its end too
        expected = [step(number) for number in range(min(whole, 4))]
        assert contents(outbox) == (expected[1:] if whole == 5 else expected)
        outbox.add(step(99))
        outbox.close()
        again = Outbox(folder)
        assert contents(again)[-1] == step(99)
        again.close()


def test_what_is_in_it_survives_the_death_of_the_process(tmp_path: Path) -> None:
    code = (
        "import sys, itertools\n"
        "from pathlib import Path\n"
        "from alpha_report.outbox import Outbox\n"
        "outbox = Outbox(Path(sys.argv[1]))\n"
        "for number in itertools.count():\n"
        "    outbox.add({'type': 'metrics', 'step': number})\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(200)]
        process.kill()
        seen += [int(line) for line in process.stdout if line.endswith("\n")]
    outbox = Outbox(tmp_path)
    kept = [record.content["step"] for record in outbox.first(10**6)]
    assert kept[: len(seen)] == seen
    assert len(kept) <= len(seen) + 1
    outbox.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    code = f"from pathlib import Path; from alpha_report.outbox import Outbox; Outbox(Path({str(tmp_path)!r}))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UsageError: another process delivers what is in" in process.stderr
    with pytest.raises(UsageError, match="another process"):
        Outbox(tmp_path)
    outbox.close()
    Outbox(tmp_path).close()


def test_on_a_full_disk_records_wait_in_memory_and_are_kept_when_there_is_room(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys, time\n"
        "from pathlib import Path\n"
        "from alpha_report.outbox import Outbox\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "outbox = Outbox(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "for number in range(50): outbox.add({'type': 'metrics', 'step': number})\n"
        "print(len(outbox), outbox.problem)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "time.sleep(1.1)\n"
        "outbox.add({'type': 'metrics', 'step': 50})\n"
        "print(outbox.problem)\n"
        "import os; sys.stdout.flush(); os._exit(0)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert process.stdout.splitlines() == ["50 No space left on device", "None"]
    outbox = Outbox(tmp_path)
    kept = [record.content["step"] for record in outbox.first(10**6)]
    assert kept == list(range(51))
    outbox.close()
