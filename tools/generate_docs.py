"""Writes the parts of the documentation that follow from the code: settings, domains, hooks, parts, ops, commands.

Each stands in a page of `docs/` between the comments `<!-- generated: NAME -->` and `<!-- end: NAME -->`; the rest of
a page is written by hand. With `--check` nothing is written, and the exit code is 1 if a page is not up to date.

Run it with the Python of the development environment: `.venv/bin/python tools/generate_docs.py`.
"""

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from alpha_autograd.gradients import GRADIENTS, ZERO, Rule
from alpha_autograd.gradients import REFUSED as REFUSED_GRADIENTS
from alpha_core import hookspecs
from alpha_core.backend import Backend
from alpha_core.config import SECTIONS, DomainConfig, Setting, settings_of, text_of
from alpha_core.kinds import KINDS
from alpha_core.op import OpSpec, ops_of
from alpha_core.plugins import Plugins, load_plugins

DOCS = Path(__file__).resolve().parent.parent / "docs"
OWN_PLUGINS = (
    "core",
    "tensor",
    "helios",
    "autograd",
    "model",
    "tokenizers",
    "train",
    "bench",
    "db",
    "interchange",
    "report",
    "server",
    "cli",
    "testkit",
)
"""The plugins that are documented; whatever else is installed here is not."""
HELP_WIDTH = 80

Row = Sequence[str]


def table(heading: Row, rows: Iterable[Row]) -> str:
    """Returns a Markdown table; `|` in a cell is escaped."""
    lines = [heading, ["---"] * len(heading), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def settings(plugins: Plugins) -> str:
    """Every setting, a table for each section."""
    parts = []
    for config in SECTIONS:
        rows = [_setting_row(setting) for setting in settings_of(config)]
        parts += [
            f"### [{config.section}]",
            _first_line(config),
            table(("key, flags, environment variable", "default", "values", "meaning"), rows),
        ]
    return "\n\n".join(parts)


def _setting_row(setting: Setting) -> Row:
    flags = [setting.flag, *setting.alias_flags]
    if setting.type is bool:
        flags.append("--no-" + setting.flag.removeprefix("--"))
    names = f"`{setting.key}`<br>{', '.join(f'`{flag}`' for flag in flags)}<br>`{setting.env}`"
    default = text_of(setting.default)
    return names, f"`{default}`" if default else "(empty)", setting.allowed, setting.help


def domains(plugins: Plugins) -> str:
    """Every domain: what it changes, and its prompts."""
    rows = []
    for info in plugins.domains:
        domain: DomainConfig = info.load()
        prompts = ", ".join(f"`{json.dumps(prompt)}`" for prompt in domain.prompts)
        changes = [_listed(table) for table in (domain.model, domain.train, domain.sample) if table]
        rows.append(
            (f"`{info.name}`", f"{info.summary}.", f"`{domain.tokenizer}`", "<br>".join(changes), prompts or "none")
        )
    return table(("domain", "text", "tokenizer", "settings", "prompts"), rows)


def _listed(overrides: Any) -> str:
    return ", ".join(f"`{key}` {text_of(value)}" for key, value in overrides.items())


def hooks(plugins: Plugins) -> str:
    """Every hook with its sentence and its signature."""
    rows = []
    for name in hookspecs.__all__:
        function = getattr(hookspecs, name)
        if name not in ("hookimpl", "hookspec"):
            rows.append((f"`{name}{_signature(function, annotations=True)}`", _first_line(function)))
    return table(("hook", "what it does"), rows)


def parts_of(kind: str) -> Callable[[Plugins], str]:
    """Returns the function that lists what Alpha's own packages register of a kind."""

    def parts(plugins: Plugins) -> str:
        rows = [
            (f"`{info.name}`", f"alpha-{registry.owner(info.name)}", _sentence(info.summary))
            for row, registry in zip(KINDS, plugins.registries, strict=True)
            for info in registry
            if row.name == kind
        ]
        return table(("name", "package", "summary"), rows)

    return parts


def command_names(plugins: Plugins) -> str:
    """Every command with its package and the first sentence of its help."""
    rows = [
        (f"`alpha {info.name}`", f"alpha-{info.plugin}", _sentence(info.help.strip().partition("\n")[0]))
        for info in plugins.commands
    ]
    return table(("command", "package", "summary"), rows)


def ops(plugins: Plugins) -> str:
    """Every op, a table for each family."""
    specs = ops_of(Backend)
    found = []
    for owner in reversed(Backend.__mro__):
        own = [name for name in vars(owner) if name in specs]
        if own:
            family = owner.__module__.rpartition(".")[2]
            module = inspect.getdoc(sys.modules[owner.__module__]) or ""
            rows = [_op_row(specs[name]) for name in own]
            heading = ("op", "kind", "what it computes", "gradient")
            found += [f"### {family}", " ".join(module.split()), table(heading, rows)]
    count = sum(spec.abstract for spec in specs.values())
    summary = f"{len(specs)} ops: {count} abstract, {len(specs) - count} with a default in terms of others."
    return "\n\n".join([summary, *found])


def _op_row(spec: OpSpec) -> Row:
    method = getattr(Backend, spec.name)
    kind = "abstract" if spec.abstract else "composite"
    writes = f", writes {_quoted(spec.writes)}" if spec.writes else ""
    return f"`{spec.name}{_signature(method)}`", kind + writes, _first_line(method), _gradient(spec.name, method)


def _gradient(name: str, method: Callable[..., Any]) -> str:
    if name in ZERO:
        return f"zero: {ZERO[name]}"
    if name in REFUSED_GRADIENTS:
        return f"none: {REFUSED_GRADIENTS[name]}"
    return f"for {_quoted(_differentiable(GRADIENTS[name], method))}"


def _differentiable(rule: Rule, method: Callable[..., Any]) -> list[str]:
    """Returns the arguments of an op that have gradients: its tensors, if one function gives the gradients of all."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    if isinstance(rule, tuple):
        return [p.name for p, function in zip(parameters, rule, strict=False) if function is not None]
    return [p.name for p in parameters if "Tensor" in str(p.annotation)]


def commands(plugins: Plugins) -> str:
    """The help of every command."""
    listed = [(), *(info.path for info in plugins.commands)]
    with ThreadPoolExecutor() as pool:
        helps = list(pool.map(_help, listed))
    return "\n\n".join(_command(path, help) for path, help in zip(listed, helps, strict=True))


def _command(path: tuple[str, ...], help: str) -> str:
    paragraphs = help.rstrip("\n").split("\n\n")
    sections = [match[1] for text in paragraphs if (match := re.match(r"(\w+) settings:\n", text))]
    kept = [text for text in paragraphs if not re.match(r"\w+ settings:\n", text)]
    name = " ".join(["alpha", *path])
    shown = [f"### `{name}`", "```text\n" + "\n\n".join(kept) + "\n```"]
    if sections:
        links = [f"[[{section.lower()}]](configuration.md#{section.lower()})" for section in sections]
        shown.append(f"It also has a flag for every setting of {' and '.join(links)}.")
    return "\n\n".join(shown)


def _help(path: tuple[str, ...]) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ALPHA_")}
    environ |= {"ALPHA_PLUGINS": ",".join(OWN_PLUGINS), "COLUMNS": str(HELP_WIDTH), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "alpha_cli", *path, "--help"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


def _signature(function: Callable[..., Any], *, annotations: bool = False) -> str:
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    if not annotations:
        plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
        return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    return re.sub(r"\b(?:collections\.abc|alpha_core\.\w+)\.|'", "", str(signature.replace(parameters=parameters)))


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _sentence(summary: str) -> str:
    return summary.removesuffix(".") + "."


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


PARTS: dict[str, tuple[str, Callable[[Plugins], str]]] = {
    "settings": ("configuration.md", settings),
    "domains": ("configuration.md", domains),
    "hooks": ("plugins/index.md", hooks),
    "backends": ("plugins/backend.md", parts_of("backends")),
    "tokenizers": ("plugins/tokenizer.md", parts_of("tokenizers")),
    "activations": ("plugins/activation.md", parts_of("activations")),
    "optimizers": ("plugins/optimizer.md", parts_of("optimizers")),
    "schedules": ("plugins/schedule.md", parts_of("schedules")),
    "metric_sinks": ("plugins/metric-sink.md", parts_of("metric_sinks")),
    "domain_names": ("plugins/domain.md", parts_of("domains")),
    "command_names": ("plugins/command.md", command_names),
    "ops": ("ops.md", ops),
    "commands": ("cli.md", commands),
}
"""For each generated part its page and the function that makes it."""


def generate(docs: Path) -> dict[Path, str]:
    """Returns the pages with generated parts as they should be. Raises `ValueError` for one without the marks."""
    plugins = load_plugins(OWN_PLUGINS)
    pages: dict[Path, str] = {}
    for name, (page, make) in PARTS.items():
        path = docs / page
        text = pages.get(path) or path.read_text(encoding="utf-8")
        start, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"`{path}` needs the marks `{start.strip()}` and `{end}`, once each")
        before, _, rest = text.partition(start)
        pages[path] = f"{before}{start}\n{make(plugins)}\n\n{end}{rest.partition(end)[2]}"
    return pages


def stale(docs: Path) -> list[str]:
    """Returns the names of the pages whose generated parts are not up to date."""
    return [
        path.relative_to(docs).as_posix()
        for path, text in generate(docs).items()
        if path.read_text(encoding="utf-8") != text
    ]


def main(arguments: Sequence[str]) -> int:
    if arguments == ["--check"]:
        names = stale(DOCS)
        for name in names:
            print(f"error: `docs/{name}` is not up to date: run `tools/generate_docs.py`", file=sys.stderr)
        return 1 if names else 0
    for path, text in generate(DOCS).items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
