"""The domains that come with Alpha, against the table of the original."""

import pytest

from alpha_core.config import load_config
from alpha_train.domains import DOMAINS

BY_NAME = {info.name: info for info in DOMAINS}

TABLE = {  # tokenizer, block, layers, width, heads
    "python": ("bpe", 128, 4, 128, 4),
    "novels": ("bpe", 128, 6, 128, 8),
    "chords": ("word", 64, 3, 64, 4),
    "abc": ("char", 256, 4, 128, 4),
    "dumb_finance": ("char", 256, 6, 128, 8),
    "chaos": ("bpe-4k", 128, 6, 128, 8),
    "concordance": ("bpe-64k", 1024, 12, 768, 12),
    "chat": ("bpe-4k", 256, 6, 256, 8),
    "super_chat": ("bpe-chat-4k", 256, 4, 128, 4),
    "nanochat": ("bpe-chat-4k", 512, 16, 512, 8),
    "fine_corpus": ("bpe-8k", 512, 8, 384, 6),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_domain_has_the_tokenizer_and_shape_of_the_table(name):
    config = load_config(domain=name, domain_config=lambda name: BY_NAME[name].load()).config
    model = config.model
    shape = (config.train.tokenizer, model.block_size, model.n_layer, model.n_embd, model.n_head)
    assert shape == TABLE[name]


def test_there_are_no_other_domains():
    assert BY_NAME.keys() == TABLE.keys()


@pytest.mark.parametrize("info", DOMAINS, ids=lambda info: info.name)
def test_a_domain_has_a_summary_and_prompts(info):
    prompts = info.load().prompts
    assert info.summary
    assert prompts
    assert all(prompts)
