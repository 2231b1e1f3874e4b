"""The domain `rhymes`: a text that comes with this package, and a model of a size that suits it."""

from pathlib import Path

from alpha_core.config import DomainConfig

__all__ = ["rhymes"]


def rhymes() -> DomainConfig:
    """Nursery rhymes, two kilobytes of them: enough to see every part at work, far too few to learn English."""
    return DomainConfig(
        tokenizer="bytes",
        model={"block_size": 32, "n_layer": 2, "n_embd": 32, "n_head": 4},
        train={"data": str(Path(__file__).with_name("rhymes.txt")), "iters": 200, "batch_size": 8, "eval_interval": 50},
        sample={"steps": 100},
        prompts=("Twinkle, ", "Hey diddle"),
    )
