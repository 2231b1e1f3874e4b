"""`alpha config init | show | check`."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from alpha_core.config import SECTIONS, RunConfig, load_config, settings_of
from alpha_core.plugins import load_plugins

ALPHA = str(Path(sys.executable).with_name("alpha"))
Alpha = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def alpha(tmp_path: Path) -> Alpha:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHA_")}

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ALPHA, *arguments], cwd=tmp_path, env={**kept, **environ}, capture_output=True, text=True, check=False
        )

    return run


def loaded(file: Path) -> RunConfig:
    plugins = load_plugins()
    return load_config(domain_config=lambda name: plugins.domains.get(name).load(), file=file).config


def test_init_writes_every_setting_with_its_meaning_and_changes_nothing(alpha: Alpha, tmp_path: Path) -> None:
    made = alpha("config", "init")
    assert (made.returncode, made.stdout) == (0, "")
    text = (tmp_path / "alpha.toml").read_text()
    assert loaded(tmp_path / "alpha.toml") == RunConfig()
    for config in SECTIONS:
        assert f"[{config.section}]" in text
        for setting in settings_of(config):
            assert re.search(rf"^# {setting.key} = ", text, re.MULTILINE)
            assert setting.help.split()[0] in text


def test_every_line_of_it_works_when_the_mark_is_taken_away(alpha: Alpha, tmp_path: Path) -> None:
    alpha("config", "init", "all.toml")
    text = (tmp_path / "all.toml").read_text()
    active = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "active.toml").write_text(active)
    assert sum(len(table) for table in tomllib.loads(active).values()) == sum(len(settings_of(c)) for c in SECTIONS)
    assert loaded(tmp_path / "active.toml") == RunConfig()


def test_init_of_a_domain_holds_what_the_domain_sets_alone(alpha: Alpha, tmp_path: Path) -> None:
    assert alpha("config", "init", "chat.toml", "--domain=super_chat").returncode == 0
    content = tomllib.loads((tmp_path / "chat.toml").read_text())
    assert content["domain"] == "super_chat"
    assert content["train"]["tokenizer"] == "bpe-chat-4k"
    assert content["model"]["activation"] == "silu"
    assert "n_head" in content["model"]
    assert "seed" not in content["train"]
    without = load_config(
        domain="super_chat", domain_config=lambda name: load_plugins().domains.get(name).load()
    ).config
    assert loaded(tmp_path / "chat.toml") == without


def test_init_never_overwrites_unless_asked(alpha: Alpha, tmp_path: Path) -> None:
    (tmp_path / "alpha.toml").write_text("# mine\n")
    refused = alpha("config", "init")
    assert (refused.returncode, refused.stderr) == (2, "error: `alpha.toml` exists\nhint: `--force` replaces it\n")
    assert (tmp_path / "alpha.toml").read_text() == "# mine\n"
    assert alpha("config", "init", "--force").returncode == 0
    assert (tmp_path / "alpha.toml").read_text() != "# mine\n"


def test_show_says_where_each_value_is_from(alpha: Alpha, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('domain = "abc"\n[train]\nlr = 2e-3\n')
    arguments = ["config", "show", "--config=run.toml", "--iters=9"]
    shown = alpha(*arguments, ALPHA_SEED="7").stdout
    assert "lr = 0.002  # file `run.toml`" in shown
    assert "iters = 9  # flag `--iters`" in shown
    assert "seed = 7  # environment variable `ALPHA_SEED`" in shown
    assert 'tokenizer = "char"  # domain `abc`' in shown
    as_json = json.loads(alpha(*arguments, "--json").stdout)
    assert as_json["train"]["iters"] == 9
    assert as_json["sources"]["lr"] == "file `run.toml`"
    assert as_json["sources"]["seed"] == "default"


def test_check_is_content_with_a_sound_file(alpha: Alpha, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[model]\nactivation = "silu"\n[train]\ntokenizer = "mine/tokenizer.json"\n')
    checked = alpha("config", "check", "run.toml")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "`run.toml` is fine\n", "")


def test_check_names_all_problems_of_all_files(alpha: Alpha, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(
        'domain = "pyhton"\n[model]\nn_head = 3\nn_layers = 4\nactivation = "gleu"\n'
        '[train]\nlr = -1.0\nsinks = ["console", "jsnol"]\noptimizer = "adam"\n'
    )
    (tmp_path / "worse.toml").write_text("[train\n")
    (tmp_path / "good.toml").write_text("")
    checked = alpha("config", "check", "bad.toml", "good.toml", "worse.toml")
    assert checked.returncode == 2
    assert checked.stdout == "`good.toml` is fine\n"
    for words in (
        "pyhton",
        "n_head",
        "n_layers",
        "gleu",
        "`lr`",
        "jsnol",
        "optimizer",
        "`worse.toml` is no valid TOML",
    ):
        assert words in checked.stderr
    problems = [line for line in checked.stderr.splitlines() if line.startswith("  - ")]
    assert len(problems) == len(set(problems)) == 8
    assert "did you mean `gelu`?" in checked.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["init", "run.json"], "a config file to edit is a `.toml` file"),
        (["init", "--domain=chta"], "did you mean `chat`?"),
        (["init", "no/folder/run.toml"], "cannot be written"),
        (["check"], "missing argument"),
        (["check", "nothing.toml"], "there is no config file `nothing.toml`"),
        (["show", "--config=nothing.toml"], "there is no config file `nothing.toml`"),
        (["shwo"], "did you mean `config show`?"),
    ],
)
def test_a_mistake_is_explained(arguments: list[str], message: str, alpha: Alpha, tmp_path: Path) -> None:
    done = alpha("config", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
