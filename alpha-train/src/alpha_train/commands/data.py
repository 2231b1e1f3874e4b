"""The commands `alpha data prepare | stats | show`."""

import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import attrs

from alpha_core.command import CommandApp
from alpha_core.config import TrainConfig
from alpha_core.errors import UsageError
from alpha_core.plugins import Plugins
from alpha_core.suggest import did_you_mean
from alpha_train.commands.configuration import load_new_run
from alpha_train.commands.notes import ProgressLine, note

if TYPE_CHECKING:
    from alpha_train.data import Dataset

__all__ = ["add_data"]

_SETTINGS = ("data", "text_key", "tokenizer", "validation_fraction")
_SHARD_KINDS = ("nanogpt", "llmc")
_SPLITS = ("train", "validation")

_PREPARE_EXAMPLES = (
    "alpha data prepare books/ --tokenizer=bpe-4k",
    "alpha data prepare chats.jsonl --tokenizer=bpe-chat",
    "alpha data prepare books/ --tokenizer=bpe-4k --out=shards --to=nanogpt",
)
_STATS_EXAMPLES = (
    "alpha data stats books/ --tokenizer=bpe-4k",
    "alpha data stats articles.jsonl --text-key=body --common=50 --json",
)
_SHOW_EXAMPLES = (
    "alpha data show python --documents=2",
    "alpha data show chats.jsonl --tokenizer=bpe-chat --split=validation",
)

Source = Annotated[str | None, "What `alpha train --data` takes; that flag works here too."]
Domain = Annotated[str | None, "Preset for one kind of text, beneath all other settings."]
Config = Annotated[Path | None, "Settings in a TOML or JSON file."]
Json = Annotated[bool, "Print JSON."]


def _data_settings() -> type:
    """Returns a configuration class with those settings of training that say what its data is."""
    fields = {
        field.name: attrs.field(default=field.default, metadata=dict(field.metadata))
        for field in attrs.fields(TrainConfig)
        if field.name in _SETTINGS
    }

    class DataSettings:
        section: ClassVar[str] = TrainConfig.section

    return attrs.make_class("DataSettings", fields, bases=(DataSettings,), frozen=True, kw_only=True)


def add_data(app: CommandApp) -> None:
    """Adds the group `data`."""
    group = app.group("data", help="Prepare and inspect training data.")
    configs = [_data_settings()]

    @group.config_command(
        "prepare",
        configs=configs,
        help="Tokenizes a text.\n\n`alpha train` with the same settings finds the tokens in the cache. With `--out` and"
        " `--to` they are also written as token shards, which other programs read.",
        examples=_PREPARE_EXAMPLES,
    )
    def prepare(
        flags: Mapping[str, str],
        source: Source = None,
        /,
        *,
        domain: Domain = None,
        config: Config = None,
        out: Annotated[Path | None, "Folder for token shards, made if it does not exist."] = None,
        to: Annotated[str | None, "Format of the shards: `nanogpt` or `llmc`."] = None,
        json: Json = False,
    ) -> None:
        _check_export(out, to)
        with ProgressLine() as progress:
            dataset = _dataset(app.plugins, flags, source, domain, config, progress)
            shards = []
            if out is not None and to is not None:
                from alpha_train.data.shard_export import export_shards

                shards = export_shards(dataset, out, to, progress)
        sizes = {"train": len(dataset.train.tokens), "validation": len(dataset.validation.tokens)}
        if json:
            paths = [str(path) for path in shards]
            content = {"key": dataset.key, "folder": str(dataset.folder), "tokens": sizes, "shards": paths}
            print(json_format.dumps(content))
            return
        for split, size in sizes.items():
            print(f"{split:<10}  {size:>12,} tokens")
        for path in shards or [dataset.folder]:
            print(f"in {path}")

    @group.config_command(
        "stats",
        configs=configs,
        help="Counts documents, characters, bytes and tokens of a text.",
        examples=_STATS_EXAMPLES,
    )
    def stats(
        flags: Mapping[str, str],
        source: Source = None,
        /,
        *,
        domain: Domain = None,
        config: Config = None,
        common: Annotated[int, "How many of the most common tokens to list."] = 10,
        json: Json = False,
    ) -> None:
        from alpha_train.commands.data_text import lines_of_statistics

        _check_count("common", common, 0)
        with ProgressLine() as progress:
            dataset = _dataset(app.plugins, flags, source, domain, config, progress)
            from alpha_train.data.statistics import statistics

            figures = statistics(dataset, common=common, progress=progress)
        print(json_format.dumps(figures.to_json()) if json else "\n".join(lines_of_statistics(figures)))

    @group.config_command(
        "show",
        configs=configs,
        help="Prints how documents begin, token by token.\n\nA `|` stands between tokens. In a conversation, the tokens"
        " between « and » count in the loss.",
        examples=_SHOW_EXAMPLES,
    )
    def show(
        flags: Mapping[str, str],
        source: Source = None,
        /,
        *,
        domain: Domain = None,
        config: Config = None,
        split: Annotated[str, "Which documents: `train` or `validation`."] = "train",
        documents: Annotated[int, "How many documents."] = 3,
        tokens: Annotated[int, "How many tokens of each."] = 100,
        json: Json = False,
    ) -> None:
        from alpha_train.commands.data_text import lines_of_excerpt

        _check_choice("split", split, _SPLITS)
        _check_count("documents", documents, 1)
        _check_count("tokens", tokens, 1)
        with ProgressLine() as progress:
            dataset = _dataset(app.plugins, flags, source, domain, config, progress)
        from alpha_train.data.excerpt import excerpts

        chosen = dataset.train if split == "train" else dataset.validation
        found = list(excerpts(chosen, dataset.tokenizer, documents=documents, tokens=tokens))
        if json:
            print(json_format.dumps([attrs.asdict(excerpt) for excerpt in found]))
            return
        if not found:
            note("this split is empty")
        for number, excerpt in enumerate(found, 1):
            print("\n".join(lines_of_excerpt(excerpt, f"{split} {number}", masked=chosen.mask is not None)))


def _dataset(
    plugins: Plugins,
    flags: Mapping[str, str],
    source: str | None,
    domain: str | None,
    config: Path | None,
    progress: ProgressLine,
) -> "Dataset":
    """Returns the data that `alpha train` would train on with these settings."""
    if source is not None:
        if "data" in flags:
            raise UsageError(f"the text is named twice: `{source}` and `--data={flags['data']}`")
        flags = {**flags, "data": source}
    loaded = load_new_run(plugins, flags, domain, config)
    for text in loaded.notes:
        note(text)
    from alpha_train.run_data import data_of_new_run

    return data_of_new_run(loaded.config.train, plugins, note=note, progress=progress)


def _check_export(out: Path | None, to: str | None) -> None:
    kinds = " or ".join(f"`--to={kind}`" for kind in _SHARD_KINDS)
    if to is not None:
        _check_choice("to", to, _SHARD_KINDS)
    if out is not None and to is None:
        raise UsageError("`--out` needs the format of the shards", hint=f"add {kinds}")
    if to is not None and out is None:
        raise UsageError("`--to` needs the folder to write shards to", hint="add `--out=FOLDER`")


def _check_choice(flag: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        listed = " or ".join(f"`{choice}`" for choice in choices)
        raise UsageError(f"`--{flag}` is {listed}, not `{value}`", hint=did_you_mean(value, choices))


def _check_count(flag: str, value: Any, minimum: int) -> None:
    if value < minimum:
        raise UsageError(f"`--{flag}` is {minimum} or more, not {value}")
