"""The tokenizer that a run uses: learned from its text, read from a file, or the one beside its token shards."""

from pathlib import Path

from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import TokenizerError
from alpha_core.plugins import Plugins
from alpha_core.tokenizer import Tokenizer
from alpha_train.data.shards import find_shards
from alpha_train.json_file import read_json

__all__ = ["tokenizer_for"]


def tokenizer_for(name: str, data: str, plugins: Plugins) -> Tokenizer | TokenizerInfo:
    """Returns a tokenizer to train, by name, or a ready one from a `tokenizer.json`.

    Token shards hold no text to learn from: where `data` means shards and `name` is no file, it is the
    `tokenizer.json` beside them. Raises `DataError` if there is none.
    """
    if name.endswith(".json"):
        return _read(Path(name), plugins)
    info = plugins.tokenizers.get(name)
    shards = find_shards(data)
    if shards is None:
        return info
    if shards.tokenizer_path is None:
        raise shards.no_tokenizer(name)
    return _read(shards.tokenizer_path, plugins)


def _read(path: Path, plugins: Plugins) -> Tokenizer:
    return plugins.load_tokenizer(read_json(path, TokenizerError))
