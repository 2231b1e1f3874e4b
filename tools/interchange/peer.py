"""What `transformers` and `llama.cpp` compute, for `tools/check_interchange.py`: runs in an environment of its own.

`peer.py logits FOLDER`       loads the model in each folder below FOLDER and writes `peer.npz` into it: logits of the
                              tokens in `tokens.npy`, and the ids that the tokenizer gives each line of `texts.json`
`peer.py make FOLDER`         makes the random models that the tests import, with their logits and ids
`peer.py llama FOLDER`        the same as `logits`, for each `model.gguf`, by `llama-cpp-python`
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

TEXTS = [
    "The quick brown fox",
    "  naïve café 字字\n\n",
    "def f(x):\n    return x'll 123",
    "<|end_of_text|>a<|end_of_text|>",
]
TOKENS = np.random.default_rng(5).integers(0, 280, (2, 12)).astype(np.int32)


def run_model(model, tokens):
    import torch

    with torch.no_grad():
        return model.eval()(torch.from_numpy(tokens.astype(np.int64))).logits.double().numpy()


def logits(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for config in sorted(folder.glob("*/config.json")):
        where = config.parent
        found = {"logits": run_model(AutoModelForCausalLM.from_pretrained(where), np.load(where / "tokens.npy"))}
        if (where / "tokenizer.json").exists():
            tokenizer = AutoTokenizer.from_pretrained(where)
            texts = json.loads((where / "texts.json").read_text())
            found |= {f"ids{i}": np.array(tokenizer(text).input_ids, np.int64) for i, text in enumerate(texts)}
            ids = tokenizer(texts[0]).input_ids
            assert tokenizer.decode(ids) == texts[0], (where, tokenizer.decode(ids))
            assert tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids(tokenizer.eos_token)
        np.savez(where / "peer.npz", **found)


def tokenizer_of(folder: Path):
    """Trains a byte-level BPE of 280 tokens with `tokenizers`."""
    from transformers import PreTrainedTokenizerFast

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=280, special_tokens=["<|end_of_text|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator([*TEXTS[:3], "the fox the fox the naïve café"] * 3, trainer)
    PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end_of_text|>").save_pretrained(folder)
    return made


def make(folder: Path) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    small = {"n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    llama = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
    llama |= {"max_position_embeddings": 16, "pad_token_id": None, "bos_token_id": 0, "eos_token_id": 0}
    models = {
        "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=280, **small)),
        "gpt2_options": (
            GPT2LMHeadModel,
            GPT2Config(
                vocab_size=288,
                activation_function="silu",
                n_inner=20,
                tie_word_embeddings=False,
                layer_norm_epsilon=1e-4,
                **small,
            ),
        ),
        "llama": (LlamaForCausalLM, LlamaConfig(vocab_size=280, **llama)),
        "llama_options": (
            LlamaForCausalLM,
            LlamaConfig(
                vocab_size=280,
                num_key_value_heads=2,
                attention_bias=True,
                tie_word_embeddings=True,
                rope_parameters={"rope_type": "default", "rope_theta": 500.0},
                **llama,
            ),
        ),
    }
    for name, (kind, config) in models.items():
        torch.manual_seed(1)
        model = kind(config)
        with torch.no_grad():
            for parameter in model.parameters():  # larger than an initialization, so that nothing is nearly linear
                parameter.add_(0.2 * torch.randn_like(parameter))
        where = folder / name
        model.save_pretrained(where)
        made = tokenizer_of(where)
        found = {f"ids{i}": np.array(made.encode(text).ids, np.int64) for i, text in enumerate(TEXTS)}
        np.savez_compressed(
            where / "reference.npz", tokens=TOKENS, logits=run_model(model, TOKENS).astype(np.float32), **found
        )
        (where / "texts.json").write_text(json.dumps(TEXTS))


def llama(folder: Path) -> None:
    from llama_cpp import Llama

    for path in sorted(folder.glob("*/model.gguf")):
        where = path.parent
        model = Llama(str(path), n_ctx=64, logits_all=True, verbose=False)
        rows = []
        for tokens in np.load(where / "tokens.npy"):
            model.reset()
            model.eval(tokens.tolist())
            rows.append(np.array(model.scores[: len(tokens)], np.float64))
        found = {"logits": np.stack(rows)}
        texts = json.loads((where / "texts.json").read_text())
        if (where / "has_tokenizer").exists():
            found |= {
                f"ids{i}": np.array(model.tokenize(text.encode(), add_bos=False, special=True), np.int64)
                for i, text in enumerate(texts)
            }
        np.savez(where / "llama.npz", **found)


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    {"logits": logits, "make": make, "llama": llama}[sys.argv[1]](Path(sys.argv[2]))
