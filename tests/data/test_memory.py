"""Memory: how much a large text takes to learn a tokenizer from and to encode."""

import random
import subprocess
import sys
from pathlib import Path

SIZE = 30_000_000  # bytes

CODE = """
import resource, sys
import numpy
from alpha_core.descriptors import TokenizerInfo
from alpha_tokenizers import BpeTokenizer
from alpha_train.data import prepare
info = TokenizerInfo(name="bpe", summary="", load=lambda: BpeTokenizer, vocab_size=2000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
calls = []
dataset = prepare(sys.argv[1], info, progress=lambda *call: calls.append(call))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(grown, len(dataset.train.tokens) + len(dataset.validation.tokens), len({call[1] for call in calls}))
"""


def test_30_mb_of_text_take_a_few_times_their_size_and_tell_how_far_they_are(tmp_path: Path) -> None:
    dice = random.Random(1)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(1, 9))) for _ in range(20_000)]
    block = " ".join(dice.choices(words, k=150_000)) + "\n"
    path = tmp_path / "text.txt"
    with open(path, "w") as file:
        while file.tell() < SIZE:
            file.write(block)
    result = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True)
    grown, tokens, steps = map(int, result.stdout.split())
    assert tokens > SIZE / 10
    assert steps > SIZE / 2e6
    assert grown < 3 * SIZE
