"""Alpha's byte-level BPE: training, and encoding with an empty cache of words."""

import json
from pathlib import Path

from alpha_tokenizers import BpeTokenizer
from benchmarks.peers.digest import digest
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare_encoding", "prepare_training"]


def prepare_training(case: Case, settings: Settings) -> Prepared:
    """The case has `texts`, a JSON file, and `vocab_size`."""
    texts = json.loads(Path(case["texts"]).read_text(encoding="utf-8"))

    def run() -> None:
        BpeTokenizer.train(texts, vocab_size=case["vocab_size"])

    return Prepared(run)


def prepare_encoding(case: Case, settings: Settings) -> Prepared:
    """The case has `texts` and the trained tokenizer's `artifacts`, JSON files."""
    texts = json.loads(Path(case["texts"]).read_text(encoding="utf-8"))
    artifacts = json.loads(Path(case["artifacts"]).read_text(encoding="utf-8"))

    def run() -> None:
        encode = BpeTokenizer.from_artifacts(artifacts).encode
        for text in texts:
            encode(text)

    encode = BpeTokenizer.from_artifacts(artifacts).encode
    return Prepared(run, {"digest": digest(encode(text) for text in texts)})
