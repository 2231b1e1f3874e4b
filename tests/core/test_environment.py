"""What is read from the environment and from `.env.local`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.environment import (
    environment_value,
    parse_environment,
    required_environment_value,
    required_token,
)
from alpha_core.errors import ConfigError

TEXT = """\
# addresses
PLAIN=value
export EXPORTED = https://x.example/path#part
SINGLE='a # b'
DOUBLE="a 'b' c"  # a comment
COMMENT=value # of no interest
TWICE=one
TWICE=two
EMPTY=
"""


def test_every_way_to_write_a_line() -> None:
    assert parse_environment(TEXT) == {
        "PLAIN": "value",
        "EXPORTED": "https://x.example/path#part",
        "SINGLE": "a # b",
        "DOUBLE": "a 'b' c",
        "COMMENT": "value",
        "TWICE": "two",
        "EMPTY": "",
    }


def test_the_process_comes_before_the_file_and_empty_means_missing(tmp_path: Path) -> None:
    file = tmp_path / ".env.local"
    assert environment_value("PLAIN", environ={}, file=file) is None
    file.write_text(TEXT)
    assert environment_value("PLAIN", environ={}, file=file) == "value"
    assert environment_value("PLAIN", environ={"PLAIN": "other"}, file=file) == "other"
    assert environment_value("PLAIN", environ={"PLAIN": ""}, file=file) == "value"
    assert environment_value("EMPTY", environ={}, file=file) is None
    assert environment_value("ABSENT", environ={}, file=file) is None


def test_by_default_it_is_the_file_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env.local").write_text("ALPHA_TEST_VALUE=7\n")
    assert environment_value("ALPHA_TEST_VALUE") == "7"
    monkeypatch.setenv("ALPHA_TEST_VALUE", "8")
    assert environment_value("ALPHA_TEST_VALUE") == "8"


def test_an_error_names_the_line_and_not_the_secret(tmp_path: Path) -> None:
    file = tmp_path / ".env.local"
    file.write_text("A=1\nTOKEN hunter2\n")
    with pytest.raises(ConfigError, match=r"line 2 of `.*\.env\.local` is not `NAME=value`") as raised:
        environment_value("A", environ={}, file=file)
    assert "hunter2" not in str(raised.value)
    file.write_bytes(b"A=\xff")
    with pytest.raises(ConfigError, match="it is not UTF-8"):
        environment_value("A", environ={}, file=file)


def test_what_is_required_and_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`TOKEN` is not set\nhint: .*`.*\.env\.local`"):
        required_environment_value("TOKEN", environ={}, file=tmp_path / ".env.local")
    assert required_environment_value("TOKEN", environ={"TOKEN": "a"}) == "a"


def test_a_token_must_fit_into_a_header() -> None:
    assert required_token("TOKEN", environ={"TOKEN": "a b!"}) == "a b!"
    for text in ("schl\u00fcssel", "a\nb", " a", "a "):
        with pytest.raises(ConfigError, match=r"^`TOKEN` must consist of printable ASCII characters, without spaces"):
            required_token("TOKEN", environ={"TOKEN": text})


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        values = parse_environment(text)
    except ConfigError:
        return
    assert all(name.isidentifier() and isinstance(value, str) for name, value in values.items())
