"""The settings of the remote sink, from the environment."""

from pathlib import Path

import pytest

from alpha_core.errors import ConfigError
from alpha_report.settings import Settings


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "`ALPHA_REMOTE_URL` is not set"),
        ({"ALPHA_REMOTE_URL": "http://x"}, "`ALPHA_REMOTE_SECRET` is not set"),
        ({"ALPHA_REMOTE_URL": "http://x", "ALPHA_REMOTE_SECRET": "schlüssel"}, "printable ASCII"),
        (
            {"ALPHA_REMOTE_URL": "http://x", "ALPHA_REMOTE_SECRET": "a", "ALPHA_REMOTE_UPLOAD": "maybe"},
            "`ALPHA_REMOTE_UPLOAD` must be `true` or `false`",
        ),
    ],
)
def test_what_is_missing_or_wrong_in_the_environment_is_named(environ: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as raised:
        Settings.from_environment(environ)
    assert "schlüssel" not in str(raised.value)


def test_secrets_do_not_show(tmp_path: Path) -> None:
    Path(".env.local").write_text("ALPHA_REMOTE_URL=http://a.example\nALPHA_REMOTE_SECRET=hunter2\n")
    settings = Settings.from_environment({})
    assert (settings.url, settings.secret) == ("http://a.example", "hunter2")
    assert "hunter2" not in repr(settings)
