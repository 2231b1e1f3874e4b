"""The tinygrad worker: a training step on its CPU device, captured by `TinyJit`."""

from importlib.metadata import version
from typing import Any

from benchmarks.peers.serve import Case, Prepared, Settings, serve
from benchmarks.peers.tinygrad.compiler import provide_clang

provide_clang()

from tinygrad import Tensor, TinyJit, nn  # noqa: E402 - it looks for its compiler
from tinygrad.helpers import Context  # noqa: E402
from tinygrad.nn.optim import AdamW, OptimizerGroup  # noqa: E402
from tinygrad.nn.state import get_parameters  # noqa: E402

_WARM_UP = 4  # TinyJit records in the second call


class Block:
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, *, bias: bool) -> None:
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width)
        self.norm_2 = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)
        self.up = nn.Linear(width, 4 * width, bias=bias)
        self.down = nn.Linear(4 * width, width, bias=bias)

    def __call__(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        parts = self.query_key_value(self.norm_1(x)).split(width, 2)
        query, key, value = (part.reshape(batch, time, self.heads, -1).transpose(1, 2) for part in parts)
        mixed = query.scaled_dot_product_attention(key, value, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, time, width))
        return x + self.down(self.up(self.norm_2(x)).gelu())


class GPT:
    """Returns the mean loss of targets after tokens, both (B, T). The tanh GELU is tinygrad's own."""

    def __init__(self, *, n_layer: int, n_embd: int, n_head: int, block_size: int, vocab_size: int, bias: bool) -> None:
        self.tokens = nn.Embedding(vocab_size, n_embd)
        self.positions = nn.Embedding(block_size, n_embd)
        self.blocks = [Block(n_embd, n_head, bias=bias) for _ in range(n_layer)]
        self.norm = nn.LayerNorm(n_embd)
        for weight in get_parameters(self):
            if len(weight.shape) == 2:
                weight.assign(Tensor.normal(*weight.shape, std=0.02)).realize()

    def __call__(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.tokens.weight.transpose()
        return logits.flatten(0, 1).sparse_categorical_crossentropy(targets.flatten())


def prepare(case: Case, settings: Settings) -> Prepared:
    """tinygrad's threads are those of `NUM_CPU_THREADS`, and `BEAM` its search for faster kernels."""
    if case["precision"] != "f32":
        raise ValueError("measured in f32 only")
    Tensor.manual_seed(0)
    model = GPT(**{name: case[name] for name in ("n_layer", "n_embd", "n_head", "block_size", "vocab_size", "bias")})
    matrices = [weight for weight in get_parameters(model) if len(weight.shape) == 2]
    vectors = [weight for weight in get_parameters(model) if len(weight.shape) < 2]
    optimizer = OptimizerGroup(
        AdamW(matrices, lr=1e-3, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1),
        AdamW(vectors, lr=1e-3, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.0),
    )
    weights = [*matrices, *vectors]
    shape = (case["batch_size"], case["block_size"])
    tokens, targets = (Tensor.randint(*shape, low=0, high=case["vocab_size"]).realize() for _ in range(2))

    @TinyJit
    def train_step(tokens: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model(tokens, targets).backward()
        norm = sum(weight.grad.square().sum() for weight in weights).sqrt()
        clip = (1.0 / (norm + 1e-6)).minimum(1.0)
        for weight in weights:
            weight.grad = weight.grad * clip
        return loss.realize(*optimizer.schedule_step())

    facts: dict[str, Any] = {}

    def step() -> None:
        with Context(TRAINING=1):
            facts["loss"] = train_step(tokens, targets).item()

    step()
    facts["first_loss"] = facts["loss"]
    for _ in range(_WARM_UP - 1):
        step()
    return Prepared(step, facts)


if __name__ == "__main__":
    serve({"tinygrad": version("tinygrad"), "ziglang": version("ziglang")}, {"train": prepare})
