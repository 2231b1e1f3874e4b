"""Run ids."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from alpha_core.run_id import is_run_id, new_run_id

NOON = datetime(2026, 3, 4, 12, 5, 6, tzinfo=UTC)


def test_a_run_id_is_the_time_in_utc_and_four_random_characters():
    run_id = new_run_id(now=NOON.astimezone(timezone(timedelta(hours=9))))
    assert run_id[:15] == "20260304120506_"
    assert len(run_id) == 19
    assert is_run_id(run_id)


def test_a_tag_stands_in_front():
    run_id = new_run_id("my_run-1.5", now=NOON)
    assert run_id.startswith("my_run-1.5_20260304120506_")
    assert is_run_id(run_id)


def test_runs_of_one_second_differ():
    assert len({new_run_id(now=NOON) for _ in range(20)}) > 1


@pytest.mark.parametrize("tag", ["../up", "a/b", ".hidden", "a b", "x" * 65, "ümlaut", "a\n"])
def test_a_tag_that_is_no_plain_folder_name_is_refused(tag):
    with pytest.raises(ValueError, match="a tag is up to 64 letters"):
        new_run_id(tag)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20260304120506",
        "20260304120506_ABCD",
        "2026030412050_abcd",
        "_20260304120506_abcd",
        "x/20260304120506_abcd",
    ],
)
def test_other_text_is_no_run_id(text):
    assert not is_run_id(text)
