"""Greedy decoding in PyTorch: a key-value cache of fixed size, one token at a time, under `inference_mode`."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers.pytorch.setup import configure, sizes
from benchmarks.peers.serve import Case, Prepared, Settings

__all__ = ["prepare"]

_DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class DecodingBlock(nn.Module):
    """A block that keeps the keys and values of what it has seen, for a batch of one."""

    def __init__(self, width: int, heads: int, block_size: int, *, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width)
        self.norm_2 = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)
        self.up = nn.Linear(width, 4 * width, bias=bias)
        self.down = nn.Linear(4 * width, width, bias=bias)
        self.register_buffer("keys", torch.zeros(1, heads, block_size, width // heads))
        self.register_buffer("values", torch.zeros(1, heads, block_size, width // heads))

    def projections(self, x: Tensor) -> "tuple[Tensor, ...]":
        """x (1, T, E) gives queries, keys and values, each (1, H, T, D)."""
        parts = self.query_key_value(self.norm_1(x)).split(x.shape[2], 2)
        return tuple(part.view(1, x.shape[1], self.heads, -1).transpose(1, 2) for part in parts)

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.output(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.down(functional.gelu(self.up(self.norm_2(x)), approximate="tanh"))

    def prompt(self, x: Tensor) -> Tensor:
        """Fills the cache from its start."""
        query, key, value = self.projections(x)
        self.keys[:, :, : x.shape[1]] = key
        self.values[:, :, : x.shape[1]] = value
        return self.finish(x, functional.scaled_dot_product_attention(query, key, value, is_causal=True))

    def eager_token(self, x: Tensor, position: int) -> Tensor:
        """Attends to what has been seen, and to no more."""
        query, key, value = self.projections(x)
        self.keys[:, :, position : position + 1] = key
        self.values[:, :, position : position + 1] = value
        seen = self.keys[:, :, : position + 1], self.values[:, :, : position + 1]
        return self.finish(x, functional.scaled_dot_product_attention(query, *seen))

    def static_token(self, x: Tensor, position: Tensor, mask: Tensor) -> Tensor:
        """The same at fixed shapes, which compile once: attends to the whole cache under a mask. mask (1, block)"""
        query, key, value = self.projections(x)
        self.keys.index_copy_(2, position, key)
        self.values.index_copy_(2, position, value)
        return self.finish(x, functional.scaled_dot_product_attention(query, self.keys, self.values, attn_mask=mask))


class DecodingGPT(nn.Module):
    """Takes tokens one at a time and returns the next one, the likeliest."""

    def __init__(self, *, n_layer: int, n_embd: int, n_head: int, block_size: int, vocab_size: int, bias: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, n_embd)
        self.positions = nn.Embedding(block_size, n_embd)
        self.blocks = nn.ModuleList(DecodingBlock(n_embd, n_head, block_size, bias=bias) for _ in range(n_layer))
        self.norm = nn.LayerNorm(n_embd)
        self.register_buffer("places", torch.arange(block_size), persistent=False)
        for weight in self.parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02)

    def likeliest(self, x: Tensor) -> Tensor:
        """x (1, E) gives (1, 1)."""
        return functional.linear(self.norm(x), self.tokens.weight).argmax(1, keepdim=True)

    def prompt(self, tokens: Tensor) -> Tensor:
        """tokens (1, T)"""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block.prompt(x)
        return self.likeliest(x[:, -1])

    def eager_token(self, token: Tensor, position: int) -> Tensor:
        """token (1, 1)"""
        x = self.tokens(token) + self.positions.weight[position]
        for block in self.blocks:
            x = block.eager_token(x, position)
        return self.likeliest(x[:, 0])

    def static_token(self, token: Tensor, position: Tensor) -> Tensor:
        """token (1, 1), position (1,)"""
        x = self.tokens(token) + self.positions(position)
        mask = (self.places <= position)[None]
        for block in self.blocks:
            x = block.static_token(x, position, mask)
        return self.likeliest(x[:, 0])


def prepare(case: Case, settings: Settings) -> Prepared:
    """Settings: `threads`, `mode`.

    `eager` attends to a slice of the cache. `compile` compiles the forward pass of a token at fixed shapes with
    `freezing`, which stores the weights as the matrix library wants them; `compile, C++ wrapper` has no Python between
    its kernels. The case has `prompt` and `steps`, in tokens.
    """
    configure(settings)
    model = DecodingGPT(**sizes(case)).to(_DTYPES[case["precision"]]).eval().requires_grad_(False)
    prompt = torch.randint(0, case["vocab_size"], (1, case["prompt"]))
    places = torch.arange(case["block_size"]).split(1)
    facts: dict[str, Any] = {}
    if settings["mode"] != "eager":
        from torch._inductor import config

        config.freezing = True
        config.cpp_wrapper = settings["mode"] == "compile, C++ wrapper"
        static_token = torch.compile(model.static_token, fullgraph=True)

        def token_after(token: Tensor, position: int) -> Tensor:
            return static_token(token, places[position])  # type: ignore[no-any-return]
    else:
        token_after = model.eager_token

    @torch.inference_mode()
    def run() -> None:
        token = model.prompt(prompt)
        for position in range(case["prompt"], case["prompt"] + case["steps"] - 1):
            token = token_after(token, position)
        facts["last_token"] = token.item()

    run()
    return Prepared(run, facts)
