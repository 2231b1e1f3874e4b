"""The worker of `tiktoken`, which encodes with the merges that Alpha learned. (What it trains with is for teaching.)"""

import json
from base64 import b64decode
from importlib.metadata import version
from pathlib import Path

import tiktoken

from benchmarks.peers.digest import digest
from benchmarks.peers.serve import Case, Prepared, Settings, serve

# GPT-2's, as `openai_public.py` of tiktoken has it.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


def prepare_encoding(case: Case, settings: Settings) -> Prepared:
    """Settings: `threads`; one encodes text by text, more by `encode_ordinary_batch`."""
    texts = json.loads(Path(case["texts"]).read_text(encoding="utf-8"))
    lines = Path(case["tiktoken"]).read_text(encoding="ascii").splitlines()
    ranks = {b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    threads = settings["threads"]
    encoding = tiktoken.Encoding("trained", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})

    def encoded() -> "list[list[int]]":
        if threads == 1:
            return [encoding.encode_ordinary(text) for text in texts]
        return encoding.encode_ordinary_batch(texts, num_threads=threads)

    def run() -> None:
        encoded()

    return Prepared(run, {"digest": digest(encoded())})


if __name__ == "__main__":
    serve({"tiktoken": version("tiktoken")}, {"tokenizer encoding": prepare_encoding})
