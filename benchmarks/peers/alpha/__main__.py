"""The Alpha worker."""

from benchmarks.peers.alpha import attention, decode, nanogpt, product, tokenizer, train
from benchmarks.peers.alpha.setup import VERSIONS
from benchmarks.peers.serve import serve

if __name__ == "__main__":
    serve(
        VERSIONS,
        {
            "train": train.prepare,
            "attention": attention.prepare,
            "decode": decode.prepare,
            "nanogpt": nanogpt.prepare,
            "product": product.prepare,
            "tokenizer training": tokenizer.prepare_training,
            "tokenizer encoding": tokenizer.prepare_encoding,
        },
    )
