"""Makes `torch_reference.npz`: losses and gradients of a GPT written in PyTorch, independently of Alpha.

Run it with any PyTorch (`python tests/model/torch_reference.py`); the tests only read the file. Weights and tokens come
from numpy's frozen `RandomState`, so that they need not be stored. Figures in the file: PyTorch 2.13.0, float64.
"""

from pathlib import Path

import numpy as np

VOCABULARY, BLOCK, LAYERS, WIDTH, HEADS, BATCH, TIME = 13, 7, 2, 12, 2, 3, 6
HIDDEN, GATED_HIDDEN = 4 * WIDTH, 64

CASES = {
    "plain": {},
    "tied_bias": {"tie_embeddings": True, "bias": True, "activation": "relu2"},
    "llama": {"norm": "rms", "position": "rotary", "activation": "swiglu"},
    "capped": {"soft_cap": 2.0, "qk_norm": True, "activation": "silu"},
}


def shapes(options: dict) -> dict[str, tuple[int, ...]]:
    """Returns parameter shapes by Alpha's names, spelled out here a second time on purpose."""
    result = {"wte": (VOCABULARY, WIDTH)}
    if options.get("position") != "rotary":
        result["wpe"] = (BLOCK, WIDTH)
    gated = options.get("activation") == "swiglu"
    linear = {"attn.wqkv": (3 * WIDTH, WIDTH), "attn.wo": (WIDTH, WIDTH)}
    if gated:
        linear |= {"mlp.fc_gate": (GATED_HIDDEN, WIDTH), "mlp.fc_up": (GATED_HIDDEN, WIDTH)}
        linear |= {"mlp.fc_proj": (WIDTH, GATED_HIDDEN)}
    else:
        linear |= {"mlp.fc1": (HIDDEN, WIDTH), "mlp.fc2": (WIDTH, HIDDEN)}
    norms = [f"layer.{i}.{n}" for i in range(LAYERS) for n in ("ln1", "ln2")] + ["lnF"]
    for norm in norms:
        result[f"{norm}.weight"] = (WIDTH,)
        if options.get("norm") != "rms":
            result[f"{norm}.bias"] = (WIDTH,)
    for layer in range(LAYERS):
        for name, shape in linear.items():
            result[f"layer.{layer}.{name}"] = shape
            if options.get("bias"):
                result[f"layer.{layer}.{name}.bias"] = shape[:1]
        if options.get("qk_norm"):
            result[f"layer.{layer}.attn.qNorm.weight"] = (WIDTH // HEADS,)
            result[f"layer.{layer}.attn.kNorm.weight"] = (WIDTH // HEADS,)
    if not options.get("tie_embeddings"):
        result["lmHead"] = (VOCABULARY, WIDTH)
    return result


def inputs(options: dict) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Returns weights (float32 values), tokens and targets."""
    generator = np.random.RandomState(7)
    weights = {
        name: (generator.standard_normal(shape) * 0.3 + name.endswith(".weight")).astype(np.float32)
        for name, shape in sorted(shapes(options).items())
    }
    tokens = generator.randint(0, VOCABULARY, (BATCH, TIME))
    targets = generator.randint(0, VOCABULARY, (BATCH, TIME))
    targets[0, :2] = -1
    return weights, tokens.astype(np.int32), targets.astype(np.int32)


def torch_loss(options: dict, weights: dict, tokens: np.ndarray, targets: np.ndarray):
    import torch
    from torch.nn import functional as F  # noqa: N812

    w = weights

    def norm(name: str, x, size: int = WIDTH):
        if options.get("norm") == "rms":
            return F.rms_norm(x, (size,), w[f"{name}.weight"], 1e-5)
        return F.layer_norm(x, (size,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)

    def linear(name: str, x):
        return F.linear(x, w[name], w.get(f"{name}.bias"))

    def rotate(x):
        half = x.shape[-1] // 2
        angle = torch.arange(TIME, dtype=x.dtype)[:, None] * 10000.0 ** (-torch.arange(half, dtype=x.dtype) / half)
        turned = torch.view_as_complex(torch.stack([x[..., :half], x[..., half:]], -1)) * torch.polar(
            torch.ones_like(angle), angle
        )
        return torch.cat([turned.real, turned.imag], -1)

    x = F.embedding(torch.tensor(tokens).long(), w["wte"])
    if "wpe" in w:
        x = x + w["wpe"][:TIME]
    for layer in range(LAYERS):
        p = f"layer.{layer}"
        q, k, v = (
            part.view(BATCH, TIME, HEADS, -1).transpose(1, 2)
            for part in linear(f"{p}.attn.wqkv", norm(f"{p}.ln1", x)).chunk(3, -1)
        )
        if options.get("qk_norm"):
            q = F.rms_norm(q, q.shape[-1:], w[f"{p}.attn.qNorm.weight"], 1e-5)
            k = F.rms_norm(k, k.shape[-1:], w[f"{p}.attn.kNorm.weight"], 1e-5)
        if options.get("position") == "rotary":
            q, k = rotate(q), rotate(k)
        if cap := options.get("soft_cap"):
            scores = cap * torch.tanh(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 / cap)
            mask = torch.ones(TIME, TIME, dtype=torch.bool).tril()
            mixed = scores.masked_fill(~mask, float("-inf")).softmax(-1) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + linear(f"{p}.attn.wo", mixed.transpose(1, 2).reshape(BATCH, TIME, WIDTH))
        h = norm(f"{p}.ln2", x)
        match options.get("activation", "gelu"):
            case "swiglu":
                h = linear(f"{p}.mlp.fc_proj", F.silu(linear(f"{p}.mlp.fc_gate", h)) * linear(f"{p}.mlp.fc_up", h))
            case "relu2":
                h = linear(f"{p}.mlp.fc2", F.relu(linear(f"{p}.mlp.fc1", h)) ** 2)
            case "silu":
                h = linear(f"{p}.mlp.fc2", F.silu(linear(f"{p}.mlp.fc1", h)))
            case _:
                h = linear(f"{p}.mlp.fc2", F.gelu(linear(f"{p}.mlp.fc1", h), approximate="tanh"))
        x = x + h
    logits = norm("lnF", x) @ w.get("lmHead", w["wte"]).T
    flat = torch.tensor(targets).long().view(-1)
    return F.cross_entropy(logits.view(-1, VOCABULARY), flat, ignore_index=-1, reduction="sum")


def main() -> None:
    import torch

    stored = {}
    for case, options in CASES.items():
        host, tokens, targets = inputs(options)
        weights = {name: torch.tensor(array, dtype=torch.float64, requires_grad=True) for name, array in host.items()}
        loss = torch_loss(options, weights, tokens, targets)
        loss.backward()
        stored[f"{case}/loss"] = np.float64(loss.item())
        for name, tensor in weights.items():
            stored[f"{case}/{name}"] = tensor.grad.numpy().astype(np.float32)
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **stored)


if __name__ == "__main__":
    main()
