"""Which Alpha package brings which name, so that asking for what is not installed says what to install."""

from fnmatch import fnmatchcase

__all__ = ["ALPHA_PACKAGES", "provider_of"]

ALPHA_PACKAGES = (
    "alpha-core",
    "alpha-tensor",
    "alpha-helios",
    "alpha-autograd",
    "alpha-model",
    "alpha-tokenizers",
    "alpha-train",
    "alpha-bench",
    "alpha-interchange",
    "alpha-db",
    "alpha-report",
    "alpha-server",
    "alpha-cli",
    "alpha-testkit",
)
"""The distributions of this project; their plugins load first, in this order, so nobody else can take their names."""

_PROVIDERS: dict[str, dict[str, tuple[str, ...]]] = {
    "backends": {"alpha-tensor": ("cpu_ref", "cpu"), "alpha-helios": ("helios",)},
    "tokenizers": {"alpha-tokenizers": ("char", "word", "bpe", "bpe-*")},
    "activations": {
        "alpha-model": ("gelu", "silu", "relu", "relu2", "swiglu", "universal", "kan", "rational"),
    },
    "optimizers": {"alpha-train": ("adamw", "lion", "adafactor", "sgd", "muon")},
    "schedules": {"alpha-train": ("cosine", "linear", "constant", "wsd")},
    "metric_sinks": {
        "alpha-cli": ("console",),
        "alpha-train": ("jsonl", "csv"),
        "alpha-db": ("db",),
        "alpha-report": ("remote", "discord", "tensorboard", "wandb", "trackio", "mlflow"),
    },
    "domains": {
        "alpha-train": (
            *("novels", "chords", "abc", "dumb_finance", "chaos", "concordance"),
            *("chat", "super_chat", "nanochat", "fine_corpus", "python"),
        ),
    },
    "commands": {
        "alpha-train": (
            *("train", "sample", "eval", "plan", "data", "data *"),
            *("runs", "runs *", "datagen", "datagen *"),
        ),
        "alpha-bench": ("bench", "bench *"),
        "alpha-interchange": ("export", "import"),
        "alpha-db": ("db", "db *"),
        "alpha-report": ("remote", "remote *"),
        "alpha-server": ("ingest", "ingest *"),
        "alpha-tokenizers": ("tokenizer", "tokenizer *"),
        "alpha-testkit": ("plugins check",),
        "alpha-cli": ("plugins", "plugins list", "config", "config *", "completion", "completion *"),
    },
}


def provider_of(kind: str, name: str) -> str | None:
    """Returns the Alpha package that brings `name`, or None for a name that none of them is known to bring."""
    for package, patterns in _PROVIDERS.get(kind, {}).items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return package
    return None
