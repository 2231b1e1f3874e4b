"""How flags may be written."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_cli.flags import Flag, flag_table, flags_of, read_flags
from alpha_core.config import ModelConfig, SampleConfig, Setting, TrainConfig, settings_of
from alpha_core.errors import PluginError, UsageError

SETTINGS = [setting for config in (ModelConfig, TrainConfig, SampleConfig) for setting in settings_of(config)]
FLAGS = flag_table(
    [
        *flags_of(SETTINGS),
        Flag(spelling="--resume", values=1),
        Flag(spelling="-r", values=1),
        Flag(spelling="--pair", values=2),
        Flag(spelling="--json", values=0),
        Flag(spelling="-j", values=0),
        Flag(spelling="--color", values=0, opposite="--no-color"),
        Flag(spelling="--no-color", values=0, opposite="--color"),
        Flag(spelling="--xyzzy", values=0, hidden=True),
    ]
)


def read(*arguments: str, interspersed: bool = True) -> tuple[list[str], dict[str, str]]:
    return read_flags(arguments, FLAGS, command="alpha train", interspersed=interspersed)


@pytest.mark.parametrize(
    ("arguments", "rest", "settings"),
    [
        (["--n-layer=4"], [], {"n_layer": "4"}),
        (["--n-layer", "4"], [], {"n_layer": "4"}),
        (["--nLayer", "4", "--eval_interval=9"], [], {"n_layer": "4", "eval_interval": "9"}),
        (["--evalInterval=9", "--evalInterval=10"], [], {"eval_interval": "10"}),
        (["--stop=a", "--steps=3", "--stop", "b,c"], [], {"stop": '["a", "b,c"]', "steps": "3"}),
        (["--layers=2"], [], {"n_layer": "2"}),
        (["--warmup", "-1"], [], {"warmup": "-1"}),
        (["--data", "-"], [], {"data": "-"}),
        (["--data="], [], {"data": ""}),
        (["--tag=a=b"], [], {"tag": "a=b"}),
        (["--tag=--x"], [], {"tag": "--x"}),
        (["--packed"], [], {"packed": "true"}),
        (["--no-packed"], [], {"packed": "false"}),
        (["--noPacked"], [], {"packed": "false"}),
        (["--packed=FALSE"], [], {"packed": "false"}),
        (["--packed=1"], [], {"packed": "true"}),
        (["--no-packed=yes"], [], {"packed": "false"}),
        (["--no-packed=false"], [], {"packed": "true"}),
        (["--packed", "true", "file"], ["file"], {"packed": "true"}),
        (["--packed", "file"], ["file"], {"packed": "true"}),
        (["--resume", "x", "--lr=1"], ["--resume", "x"], {"lr": "1"}),
        (["--Resume=x"], ["--resume=x"], {}),
        (["-r", "--n-layer"[1:], "-rx"], ["-r", "-n-layer", "-rx"], {}),
        (["--pair", "a", "b", "c"], ["--pair", "a", "b", "c"], {}),
        (["--json", "true"], ["--json", "true"], {}),
        (["--json=true", "--color=false", "--no-color=off"], ["--json", "--no-color", "--color"], {}),
        (["--json=false"], [], {}),
        (["-j", "-5", "-.5", "-"], ["-j", "-5", "-.5", "-"], {}),
        (["a", "--", "--lr", "b"], ["a", "--", "--lr", "b"], {}),
        (["--xyzzy"], ["--xyzzy"], {}),
        ([], [], {}),
    ],
)
def test_flags_are_read(arguments: list[str], rest: list[str], settings: dict[str, str]) -> None:
    assert read(*arguments) == (rest, settings)


def test_a_group_reads_only_what_stands_before_the_name_of_its_command() -> None:
    assert read("--json", "train", "--lr", "--nonsense", interspersed=False) == (
        ["--json", "train", "--lr", "--nonsense"],
        {},
    )


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--n-layr=4"], "`alpha train` has no flag `--n-layr`", "did you mean `--n-layer`?"),
        (["--no-pakced"], "`alpha train` has no flag `--no-pakced`", "did you mean `--no-packed`?"),
        (["--xyzzzy"], "`alpha train` has no flag `--xyzzzy`", "`alpha train --help` lists the flags"),
        (["-iters", "5"], "`alpha train` has no flag `-iters`", "did you mean `--iters`?"),
        (["--iters"], "flag `--iters` needs a value", None),
        (["--pair", "a"], "flag `--pair` needs a value", None),
        (["-r"], "flag `-r` needs a value", None),
        (
            ["--tag", "--lr"],
            "flag `--tag` needs a value before `--lr`",
            "a value that begins with dashes is written `--tag=--lr`",
        ),
        (["--packed=maybe"], "flag `--packed` is on or off, not `maybe`", "try `--packed`"),
    ],
)
def test_mistakes_are_named(arguments: Sequence[str], message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        read(*arguments)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_two_flags_of_one_name_are_refused() -> None:
    with pytest.raises(PluginError, match="two flags of one command are called `--nLayer`"):
        flag_table([*flags_of(SETTINGS), Flag(spelling="--nLayer", values=1)])


def camel(flag: str) -> str:
    return re.sub("-([a-z0-9])", lambda match: match[1].upper(), flag.removeprefix("--"))


@given(
    setting=st.sampled_from([setting for setting in SETTINGS if setting.type is not bool]),
    text=st.text(),
    spell=st.sampled_from([str, lambda flag: f"--{camel(flag)}", lambda flag: "--" + flag[2:].replace("-", "_")]),
    joined=st.booleans(),
)
def test_any_value_passes_through_unchanged_in_any_spelling(
    setting: Setting, text: str, spell: type[str], joined: bool
) -> None:
    joined = joined or text.startswith("--")
    flag = spell(setting.flag)
    arguments = [f"{flag}={text}"] if joined else [flag, text]
    assert read(*arguments, "end") == (["end"], {setting.key: text})
