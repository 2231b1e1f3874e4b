"""Nothing that a person can meet is undocumented: settings, flags, ops, hooks, events, metrics, files, packages."""

import ast
import json
import re
import struct
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from tests.docs.pages import DOCS, ROOT, blocks, first_cells, section, text_of

from alpha_cli.app import build_app
from alpha_cli.commands import Command
from alpha_core import Observer, Plugins, hookspecs
from alpha_core.backend import Backend
from alpha_core.config import SECTIONS, Section, settings_of
from alpha_core.config.load import DOMAIN_VARIABLE, OTHER_VARIABLES
from alpha_core.observer import MetricSink
from alpha_core.op import ops_of
from alpha_train import RunFolder, TrainResult
from alpha_train.csv_sink import COLUMNS
from alpha_train.progress import Progress

FILES, PLUGINS = DOCS / "files.md", DOCS / "plugins" / "index.md"
SINK = DOCS / "plugins" / "metric-sink.md"
SOURCES = sorted(ROOT.glob("alpha-*/src/**/*.py"))


def commands_of(group: typer.core.TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    for name, command in group.commands.items():
        if isinstance(command, Command):
            yield (*path, name), command
        elif isinstance(command, typer.core.TyperGroup):
            yield from commands_of(command, (*path, name))


def event_kinds(source: Path) -> set[str]:
    """The kinds of the events that a module makes: `Event(kind="...")`, or a kind that is chosen or passed on."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    given: list[ast.expr] = []
    others: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Event":
            given += [keyword.value for keyword in node.keywords if keyword.arg == "kind"]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "self._report":
            others.append(node.args[0])
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "(kind, what)":
            others += node.value.elts[:1] if isinstance(node.value, ast.Tuple) else []
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "kind":
            others.append(node.value)
    if all(isinstance(value, ast.Constant) for value in given):
        others = []
    else:
        assert others, f"{source} makes events whose kinds this test cannot read"
    return {str(value.value) for value in (*given, *others) if isinstance(value, ast.Constant)}


def test_the_readme_opens_with_the_two_commands() -> None:
    title, sentence, rest = text_of(ROOT / "README.md").split("\n\n", 2)
    assert title == "# Alpha"
    assert sentence.endswith(".")
    assert sentence.count("\n") == 0
    assert re.match(r"```sh\ngit clone .*\n\./alpha train .*\n\./test .*\n```\n", rest)


def test_the_readme_lists_every_package_with_what_it_needs() -> None:
    rows = re.findall(r"^\| \[(alpha-\w+)\].* \| ([^|]+) \|$", text_of(ROOT / "README.md"), re.MULTILINE)
    needs = {}
    for file in ROOT.glob("alpha-*/pyproject.toml"):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        names = {re.split(r"[^\w-]", need)[0] for need in project["dependencies"]}
        needs[project["name"]] = names - {"alpha-core"}
    assert {name: set(cell.split(", ")) for name, cell in rows} == needs


@pytest.mark.parametrize("config", SECTIONS, ids=lambda config: config.section)
def test_every_setting_with_its_flags_and_variable(config: type[Section]) -> None:
    table = section(DOCS / "configuration.md", f"[{config.section}]")
    for setting in settings_of(config):
        row = next(line for line in table.splitlines() if line.startswith(f"| `{setting.key}`<br>"))
        for name in (setting.flag, *setting.alias_flags, setting.env):
            assert f"`{name}`" in row
        assert setting.help in row


def test_every_environment_variable() -> None:
    text = text_of(DOCS / "configuration.md") + text_of(DOCS / "cli.md")
    for name in (DOMAIN_VARIABLE, *OTHER_VARIABLES, "NO_COLOR"):
        assert f"| `{name}` |" in text


def test_every_command_and_flag(plugins: Plugins) -> None:
    page = text_of(DOCS / "cli.md")
    root = typer.main.get_command(build_app(plugins))
    assert isinstance(root, typer.core.TyperGroup)
    for path, command in commands_of(root):
        name = " ".join(["alpha", *path])
        assert f"`{name}`" in page or f"`{path[-1]}`" in page
        shown = page.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
        settings = {setting.key for setting in command.settings()}
        for flag in command.flags(command.params).values():
            assert flag.key in settings or flag.spelling in shown, f"{name} {flag.spelling}"
        for setting in command.settings():
            assert f"configuration.md#{setting.section}" in shown


def test_every_op() -> None:
    documented = re.findall(r"^\| `(\w+)\(", text_of(DOCS / "ops.md"), re.MULTILINE)
    assert sorted(documented) == sorted(ops_of(Backend))


def test_every_other_method_of_a_backend() -> None:
    page = text_of(DOCS / "ops.md")
    for name in vars(Backend).keys() | {"upload", "download", "constant"}:
        if not name.startswith("_") and name != "name":
            assert re.search(rf"`{name}[(`]", page), name


def test_every_hook() -> None:
    hooks = set(hookspecs.__all__) - {"hookimpl", "hookspec"}
    documented = re.findall(r"^\| `(\w+)\(", section(PLUGINS, "Hooks"), re.MULTILINE)
    assert sorted(documented) == sorted(hooks)


def test_every_method_of_observers_and_sinks() -> None:
    code = "\n".join(block.code for page in PLUGINS.parent.iterdir() for block in blocks(page))
    for name, member in (*vars(Observer).items(), *vars(MetricSink).items()):
        if not name.startswith("_"):
            assert f"def {name}(self" in code if callable(member) else f"`{name}`" in text_of(SINK)


def test_every_kind_of_event_and_no_other() -> None:
    made = {kind for source in SOURCES if "alpha_testkit" not in source.parts for kind in event_kinds(source)}
    assert {"training_started", "loss_nan", "sink_slow"} <= made
    assert first_cells(section(FILES, "events.jsonl")) == made


def test_every_metric_and_no_other(finished: RunFolder) -> None:
    rows = [json.loads(line) for line in (finished.path / "metrics.jsonl").read_text().splitlines()]
    kinds = {key for row in rows for key in row} | {"loss_scale"}  # which f16 alone has
    assert first_cells(section(FILES, "metrics.jsonl")) == kinds


@pytest.mark.parametrize("log", ["events.jsonl", "samples.jsonl"])
def test_every_field_of_the_logs(finished: RunFolder, log: str) -> None:
    text = section(FILES, log)
    lines = (finished.path / log).read_text().splitlines()
    assert lines
    for line in lines:
        row = json.loads(line)
        for key in (*row, *row.get("payload", {})):
            assert f"`{key}`" in text


def test_every_key_of_the_summary_of_a_run() -> None:
    text = section(FILES, "events.jsonl")
    summary = TrainResult(status="completed", step=1, progress=Progress()).to_json()
    for key in summary:
        assert f"`{key}`" in text


def test_every_file_of_a_run_and_no_other(finished: RunFolder) -> None:
    names = {re.sub(r"\d+", "<step>", path.name, count=1) for path in finished.path.iterdir()}
    assert first_cells(section(FILES, "The run folder")) == names
    best = json.loads((finished.path / "best.json").read_text())
    config = json.loads((finished.path / "config.json").read_text())
    for key in (*best, *config):
        assert f"`{key}`" in section(FILES, "The run folder")


def test_every_column_of_the_table_of_metrics() -> None:
    assert ", ".join(f"`{column}`" for column in COLUMNS) in " ".join(section(FILES, "metrics.csv").split())


def test_every_key_of_a_checkpoint_and_no_other(finished: RunFolder) -> None:
    data = finished.checkpoint_path(4).read_bytes()
    (length,) = struct.unpack_from("<I", data, 4)
    header = json.loads(data[8 : 8 + length])
    text = section(FILES, "Checkpoints")
    keys = re.search(r"\| key \| content \|\n(.*?)\n\n", text, re.DOTALL)
    assert keys is not None
    assert first_cells(keys[1]) == set(header)
    for key in (*header["extra"], *header["rngState"], *header["activationGraph"]):
        assert f"`{key}`" in text
    for entry in header["tensors"]:
        assert all(f'"{key}"' in text for key in entry)
        parameter = re.sub(r"^p\.|^o\.|\.[mv]$", "", entry["name"])
        pattern = re.sub(r"act\.\w+$", "act.<coefficient>", re.sub(r"layer\.\d+", "layer.N", parameter))
        known = pattern in text or pattern.removesuffix(".bias") + ".weight`, `.bias`" in text
        assert known, entry["name"]


def test_every_file_of_the_cache(finished: RunFolder) -> None:
    text = section(FILES, "The cache")
    cache = finished.path.parents[1] / "cache"
    files = [path for path in cache.rglob("*") if path.is_file()]
    kernels = {path for path in files if path.suffix == ".o"}
    assert {path.parts[-3] for path in kernels} == {"kernels"}
    assert "`kernels/`" in text
    assert {path.parts[-3] for path in files if path not in kernels} == {"tokens", "tokenizers"}
    for path in (path for path in files if path not in kernels):
        assert f"{path.name}`" in text
    metadata = json.loads(next(path for path in files if path.name == "metadata.json").read_text())
    for key in metadata["identity"]:
        assert f"`{key}`" in text
