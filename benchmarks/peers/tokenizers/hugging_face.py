"""The worker of Hugging Face's `tokenizers`: byte-level BPE as Alpha's.

Threads are those of its own pool, which reads `RAYON_NUM_THREADS` and `TOKENIZERS_PARALLELISM` when it starts.
"""

import json
from pathlib import Path

from benchmarks.peers.digest import digest
from benchmarks.peers.serve import Case, Prepared, Settings, serve
from tokenizers import Tokenizer, __version__, models, pre_tokenizers, trainers


def prepare_training(case: Case, settings: Settings) -> Prepared:
    texts = json.loads(Path(case["texts"]).read_text(encoding="utf-8"))

    def run() -> None:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=case["vocab_size"], min_frequency=2, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)

    return Prepared(run)


def prepare_encoding(case: Case, settings: Settings) -> Prepared:
    """Encodes all texts in one `encode_batch_fast`, which leaves offsets out, and takes their ids."""
    texts = json.loads(Path(case["texts"]).read_text(encoding="utf-8"))
    artifacts = Path(case["hugging_face"]).read_text(encoding="utf-8")

    def encoded() -> "list[list[int]]":
        tokenizer = Tokenizer.from_str(artifacts)
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def run() -> None:
        encoded()

    return Prepared(run, {"digest": digest(encoded())})


if __name__ == "__main__":
    serve(
        {"tokenizers": __version__},
        {"tokenizer training": prepare_training, "tokenizer encoding": prepare_encoding},
    )
