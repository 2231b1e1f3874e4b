"""What the documentation says of the command is true."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from alpha_cli.help_text import exit_codes
from alpha_core import errors
from alpha_core.kinds import COMMANDS, KINDS
from alpha_core.plugins import ENVIRONMENT_VARIABLE, Plugins

RunCommandLine = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def rows(text: str) -> dict[str, str]:
    """First and second cells of every table row."""
    return dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", text, flags=re.MULTILINE))


def test_the_page_lists_every_exit_code() -> None:
    documented = {code: meaning for code, meaning in rows(PAGE).items() if code.isdigit()}
    codes = dict(exit_codes())
    assert sorted(map(int, documented)) == sorted(codes)
    for code in (2, 3, 4, 5, 6):
        for kind in codes[code].removesuffix(" error").split(", "):
            assert kind in documented[str(code)]


def test_every_error_class_has_a_documented_exit_code() -> None:
    codes = dict(exit_codes())
    for name in errors.__all__:
        assert getattr(errors, name).exit_code in codes


def test_the_page_names_every_kind_and_variable() -> None:
    for name in (*(kind.name for kind in KINDS), COMMANDS, ENVIRONMENT_VARIABLE, "ALPHA_DEBUG"):
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize("page", [ROOT / "docs" / "cli.md", ROOT / "alpha-cli" / "README.md"])
def test_the_example_of_a_missing_package_is_what_it_prints(page: Path, run: RunCommandLine) -> None:
    _, _, message = run("train")
    assert f"$ alpha train\n{message}" in page.read_text(encoding="utf-8")


def test_the_plugin_of_the_readme_works(plugins: Plugins, run: RunCommandLine) -> None:
    readme = (ROOT / "alpha-cli" / "README.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    namespace: dict[str, object] = {}
    exec(source, namespace)
    plugins.register(type("hello", (), {"register_commands": staticmethod(namespace["register_commands"])}))  # type: ignore[arg-type]
    assert run("hello", "you", "--times=2") == (0, "hello, you\nhello, you\n", "")
