"""Commands as plugins write them and as people use them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from alpha_core.command import CommandApp
from alpha_core.config import ModelConfig, TrainConfig
from alpha_core.errors import AlphaError, BackendError, CheckpointError, ConfigError, DataError, NotInstalledError
from alpha_core.plugins import Plugins

RunCommandLine = Callable[..., tuple[int, str, str]]
AddCommands = Callable[..., None]


def test_parameters_become_arguments_and_options(add_commands: AddCommands, run: RunCommandLine) -> None:
    def register(app: CommandApp) -> None:
        @app.command("greet", help="Greets.", examples=["alpha greet you --times 2"])
        def greet(
            name: str,
            title: Annotated[str, "What to say before."] = "dear",
            *,
            times: Annotated[int, "How often."] = 1,
            loud: Annotated[bool, "Shout."] = False,
            folder: Path | None = None,
        ) -> None:
            text = f"{title} {name} " * times
            print(text.upper() if loud else text, type(folder).__name__)

    add_commands(register)
    assert run("greet", "you") == (0, "dear you  NoneType\n", "")
    assert run("greet", "--times=2", "you", "--loud", "--title", "hey") == (0, "HEY YOU HEY YOU  NoneType\n", "")
    assert run("greet", "you", "--folder", ".")[1].endswith("PosixPath\n")
    code, out, _ = run("greet", "--help")
    assert code == 0
    assert "--times <int>" in out
    assert "How often.  [default: 1]" in out
    assert "--no-loud" not in out
    assert out.rstrip().endswith("Examples:\n  alpha greet you --times 2")


def test_an_underscore_after_a_python_keyword_is_no_part_of_the_option(
    add_commands: AddCommands, run: RunCommandLine
) -> None:
    def register(app: CommandApp) -> None:
        @app.command("go", help="Goes.")
        def go(*, from_: str = "here", in_: bool = False) -> None:
            print(from_, in_)

    add_commands(register)
    assert run("go", "--from", "there", "--in") == (0, "there True\n", "")
    assert run("go") == (0, "here False\n", "")


def test_positional_only_parameters_are_arguments_even_with_a_default(
    add_commands: AddCommands, run: RunCommandLine
) -> None:
    def register(app: CommandApp) -> None:
        @app.command("show", help="Shows.")
        def show(first: str, rest: Annotated[list[str] | None, "More."] = None, /, *, only: int) -> None:
            print(first, rest, only)

    add_commands(register)
    assert run("show", "a", "--only=3") == (0, "a None 3\n", "")
    assert run("show", "a", "b", "--only=3", "c") == (0, "a ['b', 'c'] 3\n", "")
    assert run("show", "a") == (
        2,
        "",
        "error: missing option `--only`\nhint: `alpha show --help` shows how to call it\n",
    )


def test_typer_annotations_and_its_context_work_too(add_commands: AddCommands, run: RunCommandLine) -> None:
    def register(app: CommandApp) -> None:
        @app.command("count", help="Counts.")
        def count(
            context: typer.Context, verbose: Annotated[int, typer.Option("--verbose", "-v", count=True)] = 0
        ) -> None:
            print(context.command_path, verbose)

        @app.command("old", help="Old style.")
        def old(name: str = typer.Option("x", "--name", "-n")) -> None:
            print(name)

    add_commands(register)
    assert run("count", "-vv", "--verbose") == (0, "alpha count 3\n", "")
    assert run("old", "-n", "y") == (0, "y\n", "")


def test_plugins_share_groups(plugins: Plugins, add_commands: AddCommands, run: RunCommandLine) -> None:
    add_commands(
        lambda app: app.group("kit", help="Tools.").command("saw", help="Saws.")(lambda: print("saw")), name="a"
    )
    add_commands(
        lambda app: app.group("kit", help="Other.").command("plugins", help="X.")(
            lambda: print(app.plugins is plugins)
        ),
        name="b",
    )
    assert run("kit", "saw") == (0, "saw\n", "")
    assert run("kit", "plugins") == (0, "True\n", "")
    code, out, _ = run("kit")
    assert code == 0
    assert "Tools." in out
    assert "Saws." in out


@pytest.fixture
def train(add_commands: AddCommands) -> list[Any]:
    """A `train` command with flags for two configuration classes; returns what its calls received."""
    calls: list[Any] = []

    def register(app: CommandApp) -> None:
        @app.config_command(
            "train", configs=[ModelConfig, TrainConfig], help="Trains.", examples=["alpha train --lr=1"]
        )
        def train(
            flags: Mapping[str, str],
            *,
            resume: Annotated[Path | None, "Continue this run."] = None,
            print_config: Annotated[bool, "Only print."] = False,
        ) -> None:
            calls.append((dict(flags), resume, print_config))

    add_commands(register)
    return calls


def test_settings_reach_the_command_as_text_and_only_if_given(train: list[Any], run: RunCommandLine) -> None:
    assert run("train") == (0, "", "")
    assert run("train", "--nLayer", "2", "--no-packed", "--resume=x", "--printConfig", "--lr=1e-3") == (0, "", "")
    assert train == [
        ({}, None, False),
        ({"n_layer": "2", "packed": "false", "lr": "1e-3"}, Path("x"), True),
    ]


def test_help_shows_settings_by_section_with_defaults_and_examples(train: list[Any], run: RunCommandLine) -> None:
    code, out, err = run("train", "--help")
    assert (code, err, train) == (0, "", [])
    headings = ["Options:", "Model settings:", "Train settings:", "Examples:"]
    assert sorted(headings, key=out.index) == headings
    model, trained = out.index("Model settings:"), out.index("Train settings:")
    assert model < out.index("--n-layer <int>") < trained < out.index("--eval-interval <int>")
    assert "[default: 6]" in out
    assert "--packed / --no-packed" in out
    assert "[also --layers]" in " ".join(out.split())
    assert out.rstrip().endswith("alpha train --lr=1")


def test_an_unknown_flag_suggests_the_right_one(train: list[Any], run: RunCommandLine) -> None:
    code, out, err = run("train", "--evalIntreval=3")
    assert (code, out) == (2, "")
    assert err == "error: `alpha train` has no flag `--evalIntreval`\nhint: did you mean `--eval-interval`?\n"
    assert train == []


def test_an_argument_too_many_is_refused(train: list[Any], run: RunCommandLine) -> None:
    code, _, err = run("train", "novels")
    assert code == 2
    assert "unexpected extra argument" in err
    assert "`alpha train --help`" in err
    assert train == []


def test_an_unknown_command_suggests_the_right_one(train: list[Any], run: RunCommandLine) -> None:
    code, _, err = run("trian")
    assert (code, train) == (2, [])
    assert err == "error: unknown command `trian`; there are `train`\nhint: did you mean `train`?\n"


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (["train", "--lr=1"], "alpha-train"),
        (["tokenizer", "build"], "alpha-tokenizers"),
        (["plugins", "list"], "alpha-cli"),
    ],
)
def test_a_command_of_a_missing_package_says_what_to_install(
    run: RunCommandLine, arguments: list[str], package: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (3, "")
    assert err == (
        f"error: command `{arguments[0]}` is not installed: `pip install {package}`\n"
        f"hint: from a checkout of Alpha: `pip install ./{package}`; its packages are on no index yet\n"
    )


def test_a_subcommand_of_a_missing_package_says_what_to_install(add_commands: AddCommands, run: RunCommandLine) -> None:
    add_commands(lambda app: app.group("plugins", help="Plugins.").command("list", help="Lists.")(print))
    code, output, errors = run("plugins", "check", "x")
    assert (code, output) == (3, "")
    assert errors.startswith("error: command `plugins check` is not installed: `pip install alpha-testkit`\n")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (AlphaError("no luck"), 1, "error: no luck\n"),
        (ConfigError("`lr` is odd", hint="try `1e-3`"), 2, "error: `lr` is odd\nhint: try `1e-3`\n"),
        (NotInstalledError("not here"), 3, "error: not here\n"),
        (DataError("no text"), 4, "error: no text\n"),
        (CheckpointError("torn"), 5, "error: torn\n"),
        (BackendError("lost"), 6, "error: lost\n"),
        (KeyError("k"), 70, "error: unexpected KeyError: 'k'\nhint: this is a bug in Alpha or in a plugin; run again "),
        (typer.Abort(), 130, "error: interrupted\n"),
        (typer.Exit(9), 9, ""),
        (typer.BadParameter("it is 'odd'."), 2, "error: invalid value: it is `odd`\n"),
    ],
)
def test_errors_are_one_line_a_hint_and_an_exit_code(
    add_commands: AddCommands, run: RunCommandLine, error: Exception, code: int, text: str
) -> None:
    def fail() -> None:
        raise error

    add_commands(lambda app: app.command("fail", help="Fails.")(fail))
    result = run("fail")
    assert result[:2] == (code, "")
    assert result[2].startswith(text)
    assert "Traceback" not in result[2]


def wrong_type(flags: Mapping[str, str], unreadable: "NoSuchType") -> None:  # type: ignore[name-defined]  # noqa: F821
    raise AssertionError("never called")


def registering(name: str) -> Callable[[CommandApp], None]:
    def register(app: CommandApp) -> None:
        app.command("fine", help="Works.")(lambda: print("fine"))
        if name == "wrong annotation":
            app.command("other", help="X.")(wrong_type)
        elif name == "wrong config class":
            app.config_command("other", configs=[int], help="X.")(wrong_type)
        elif name == "clashing flags":
            app.config_command("other", configs=[ModelConfig], help="X.")(lambda flags, n_layer=3: None)

    return register


@pytest.mark.parametrize("mistake", ["wrong annotation", "wrong config class", "clashing flags"])
def test_a_command_that_cannot_be_built_breaks_its_plugin_alone(
    plugins: Plugins, add_commands: AddCommands, run: RunCommandLine, mistake: str
) -> None:
    add_commands(lambda app: app.command("good", help="Works.")(lambda: print("good")), name="good")
    add_commands(registering(mistake), name="bad")
    code, out, err = run("good")
    assert (code, out) == (0, "good\n")
    assert err.startswith("warning: plugin `bad` is broken and left out: ")
    assert run("fine")[0] == 3
    assert [info.name for info in plugins.commands] == ["good"]
