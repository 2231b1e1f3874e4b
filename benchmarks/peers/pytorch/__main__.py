"""The PyTorch worker."""

import torch

from benchmarks.peers.pytorch import attention, decode, nanogpt, product, train
from benchmarks.peers.serve import serve

if __name__ == "__main__":
    serve(
        {"torch": torch.__version__},
        {
            "train": train.prepare,
            "attention": attention.prepare,
            "decode": decode.prepare,
            "nanogpt": nanogpt.prepare,
            "product": product.prepare,
        },
    )
