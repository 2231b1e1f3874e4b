"""The domains that come with Alpha: presets for one kind of text each, and prompts that fit it."""

from alpha_core.config import DomainConfig
from alpha_core.descriptors import DomainInfo

__all__ = ["DOMAINS"]

_CHAT_PROMPTS = (
    "<|user|> Hello! <|assistant|>",
    "<|user|> How are you today? <|assistant|>",
    "<|user|> Tell me a story. <|assistant|>",
)


def _python() -> DomainConfig:
    return DomainConfig(
        tokenizer="bpe",
        model={
            "block_size": 128,
            "n_layer": 4,
            "n_embd": 128,
            "n_head": 4,
            "position": "rotary",
            "tie_embeddings": True,
        },
        train={
            "data": "python",
            "iters": 800,
            "batch_size": 6,
            "lr": 3e-3,
            "eval_interval": 200,
            "sample_interval": 400,
        },
        sample={"steps": 150},
        prompts=("def __init__(self", "class", "import os\n"),
    )


def _novels() -> DomainConfig:
    return DomainConfig(
        tokenizer="bpe",
        model={"block_size": 128, "n_layer": 6, "n_embd": 128, "n_head": 8},
        prompts=("The ", "Once upon a time", "He walked into"),
    )


def _chords() -> DomainConfig:
    return DomainConfig(
        tokenizer="word",
        model={"block_size": 64, "n_layer": 3, "n_embd": 64, "n_head": 4},
        prompts=("Em7 G Dsus4", "Am F C G", "D A Bm G"),
    )


def _abc() -> DomainConfig:
    return DomainConfig(
        tokenizer="char",
        model={"block_size": 256, "n_layer": 4, "n_embd": 128, "n_head": 4},
        prompts=("X:1\nT:", "X:1\nT:The Morning Reel\nM:4/4\nL:1/8\nK:D\n"),
    )


def _dumb_finance() -> DomainConfig:
    return DomainConfig(
        tokenizer="char",
        model={"block_size": 256, "n_layer": 6, "n_embd": 128, "n_head": 8},
        prompts=("The market ", "Buy ", "Never sell "),
    )


def _chaos() -> DomainConfig:
    return DomainConfig(
        tokenizer="bpe-4k",
        model={"block_size": 128, "n_layer": 6, "n_embd": 128, "n_head": 8},
        train={"lr": 5e-4},
        prompts=("The ", "And then ", "Nobody knows why "),
    )


def _concordance() -> DomainConfig:
    return DomainConfig(
        tokenizer="bpe-64k",
        model={"block_size": 1024, "n_layer": 12, "n_embd": 768, "n_head": 12},
        train={"lr": 6e-4, "batch_size": 4, "grad_clip": 1.0},
        prompts=("The ", "In the beginning ", "See also "),
    )


def _chat() -> DomainConfig:
    return DomainConfig(
        tokenizer="bpe-4k",
        model={"block_size": 256, "n_layer": 6, "n_embd": 256, "n_head": 8, "dropout": 0.1},
        train={
            "lr": 5e-5,
            "lr_min": 5e-6,
            "warmup": 1000,
            "beta2": 0.95,
            "eps": 1e-6,
            "weight_decay": 0.1,
            "batch_size": 16,
            "grad_clip": 1.0,
            "sample_interval": 500,
        },
        prompts=_CHAT_PROMPTS,
    )


def _super_chat() -> DomainConfig:
    return DomainConfig(
        tokenizer="bpe-chat-4k",
        model={"block_size": 256, "n_layer": 4, "n_embd": 128, "n_head": 4, "activation": "silu", "dropout": 0.1},
        train={
            "lr": 8e-5,
            "lr_min": 8e-6,
            "warmup": 2000,
            "weight_decay": 0.01,
            "batch_size": 10,
            "accum_steps": 2,
            "grad_clip": 0.4,
            "spike_threshold": 60.0,
            "packed": True,
            "sample_interval": 200,
            "eval_interval": 200,
        },
        prompts=_CHAT_PROMPTS,
    )


def _nanochat() -> DomainConfig:
    return DomainConfig(
        tokenizer="bpe-chat-4k",
        model={"block_size": 512, "n_layer": 16, "n_embd": 512, "n_head": 8, "activation": "swiglu"},
        train={
            "lr": 3e-4,
            "lr_min": 3e-5,
            "warmup": 500,
            "weight_decay": 0.1,
            "batch_size": 4,
            "accum_steps": 4,
            "spike_threshold": 50.0,
            "packed": True,
            "sample_interval": 500,
            "eval_interval": 250,
        },
        prompts=_CHAT_PROMPTS,
    )


def _fine_corpus() -> DomainConfig:
    return DomainConfig(
        tokenizer="bpe-8k",
        model={"block_size": 512, "n_layer": 8, "n_embd": 384, "n_head": 6},
        train={
            "lr": 6e-4,
            "lr_min": 6e-5,
            "warmup": 500,
            "beta2": 0.999,
            "weight_decay": 0.1,
            "batch_size": 4,
            "spike_threshold": 10000.0,
            "packed": True,
            "sample_interval": 2000,
            "eval_interval": 500,
        },
        prompts=("The ", "In recent years, ", "How to "),
    )


DOMAINS = (
    DomainInfo(name="python", summary="Python's standard library, always at hand; small and quick", load=_python),
    DomainInfo(name="novels", summary="English prose", load=_novels),
    DomainInfo(name="chords", summary="Chord progressions, a chord a word", load=_chords),
    DomainInfo(name="abc", summary="Folk tunes in ABC notation", load=_abc),
    DomainInfo(name="dumb_finance", summary="Bad financial advice", load=_dumb_finance),
    DomainInfo(name="chaos", summary="Anything, mixed", load=_chaos),
    DomainInfo(name="concordance", summary="A large reference corpus; 12 layers, width 768", load=_concordance),
    DomainInfo(name="chat", summary="Dialogues between a user and an assistant", load=_chat),
    DomainInfo(name="super_chat", summary="Dialogues with chat tokens; a small model", load=_super_chat),
    DomainInfo(name="nanochat", summary="Dialogues with chat tokens; 16 layers, width 512", load=_nanochat),
    DomainInfo(name="fine_corpus", summary="Cleaned web text; 8 layers, width 384", load=_fine_corpus),
)
