"""nanoGPT's character-level run in PyTorch, with the model, schedule, batches and evaluations that `alpha train` has.

Reads the text, trains, evaluates, saves the best weights, and prints the losses as a JSON line.
"""

import argparse
import json
import math
from pathlib import Path

import torch

from benchmarks.peers.pytorch.model import GPT, optimizer_for
from benchmarks.peers.pytorch.setup import autocast

VALIDATION_FRACTION = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    for name in ("n-layer", "n-head", "n-embd", "block-size", "batch-size", "iters", "warmup", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("eval-interval", "eval-iters"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("lr", "beta2"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--precision", choices=("f32", "bf16"), required=True)
    parser.add_argument("--mode", choices=("eager", "compile"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    text = options.text.read_text(encoding="utf-8")
    characters = sorted(set(text))
    ids = {character: i for i, character in enumerate(characters)}
    tokens = torch.tensor([ids[character] for character in text])
    boundary = int(len(tokens) * (1 - VALIDATION_FRACTION))
    training, validation = tokens[:boundary], tokens[boundary:]

    model = GPT(
        n_layer=options.n_layer,
        n_embd=options.n_embd,
        n_head=options.n_head,
        block_size=options.block_size,
        vocab_size=len(characters),
    )
    optimizer = optimizer_for(model, options.lr, options.beta2)
    forward = torch.compile(model) if options.mode == "compile" else model
    places = torch.arange(options.block_size)

    def windows(data: torch.Tensor, starts: torch.Tensor) -> "tuple[torch.Tensor, torch.Tensor]":
        where = starts[:, None] + places
        return data[where], data[where + 1]

    @torch.no_grad()
    def validation_loss() -> float:
        """Over batches of whole windows, spread evenly over the text: those of `alpha train`."""
        whole, wanted = (len(validation) - 1) // options.block_size, options.eval_iters * options.batch_size
        starts = torch.arange(wanted) * whole // wanted * options.block_size
        with autocast(options.precision):
            losses = [forward(*windows(validation, part)).item() for part in starts.split(options.batch_size)]
        return sum(losses) / len(losses)

    def learning_rate(step: int) -> float:
        if step <= options.warmup:
            return float(options.lr * step / options.warmup)
        progress = (step - options.warmup) / (options.iters - options.warmup)
        lowest = options.lr / 10
        return float(lowest + 0.5 * (1 + math.cos(math.pi * progress)) * (options.lr - lowest))

    best = loss = math.inf
    for step in range(1, options.iters + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        starts = torch.randint(0, len(training) - options.block_size, (options.batch_size,))
        with autocast(options.precision):
            batch_loss = forward(*windows(training, starts))
        batch_loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        batch_loss.item()  # read at every step, as `alpha train` does for its metrics
        if step % options.eval_interval == 0 or step == options.iters:
            loss = validation_loss()
            if loss < best:
                best = loss
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, options.out)
    print(json.dumps({"validation_loss": loss, "best_validation_loss": best}))


if __name__ == "__main__":
    main()
