"""Models that `transformers` made (see `tools/interchange/peer.py`), and models of Alpha in run folders."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from alpha_core import Plugins, load_plugins
from alpha_core.config import ModelConfig
from alpha_core.dtype import DType
from alpha_core.tokenizer import Tokenizer
from alpha_interchange import ImportedModel, write_run
from alpha_model import GPT
from alpha_tensor import CpuRef
from alpha_tokenizers import BpeTokenizer
from alpha_train.stored_model import StoredModel, read_model

DATA = Path(__file__).parent / "data"
MODELS = sorted(path.name for path in DATA.iterdir())
TEXTS = ["The quick brown fox, the lazy dog. ", "  naïve café 字字\n\n", "def f(x):\n    return x'll 123"]

SHAPES: dict[str, Any] = {"block_size": 16, "n_layer": 2, "n_embd": 16, "n_head": 2}
LLAMA: dict[str, Any] = {"norm": "rms", "position": "rotary", "activation": "swiglu"}
EXPORTABLE: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "gpt2_tied_bias": {"tie_embeddings": True, "bias": True, "ffn_width": 20, "norm_eps": 1e-3},
    "gpt2_relu2": {"activation": "relu2"},
    "gpt2_silu": {"activation": "silu", "bias": True},
    "llama": LLAMA,
    "llama_tied_bias": {**LLAMA, "tie_embeddings": True, "bias": True, "rope_base": 300.0, "norm_eps": 1e-3},
}
"""Options of models that `transformers` has an architecture for."""

Make = Callable[..., StoredModel]


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture
def make(tmp_path: Path, plugins: Plugins) -> Make:
    """Returns a random model of Alpha with these options, from a run folder."""

    def made(tokenizer: Tokenizer | None = None, **options: Any) -> StoredModel:
        own = tokenizer or BpeTokenizer.train(TEXTS, vocab_size=300)
        config = ModelConfig(vocab_size=own.vocab_size, **{**SHAPES, **options})
        model = GPT(config)
        generator = np.random.default_rng(2)
        values = {
            name: (value + 0.2 * generator.standard_normal(value.shape)).astype(np.float32)
            for name, value in model.initial_parameters(1).items()
        }
        run = write_run(
            tmp_path / "runs" / "made", ImportedModel(model=model, parameters=values, tokenizer=own.to_artifacts())
        )
        return read_model(run, plugins)

    return made


def logits_of(model: GPT, values: Any, tokens: Sequence[Sequence[int]] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns logits in float32, (B, T, V)."""
    backend = CpuRef()
    parameters = {name: backend.upload(value, DType.f32) for name, value in values.items()}
    batch = np.asarray(tokens, np.int32)
    flat = backend.download(model.logits(backend, parameters, backend.upload(batch)))
    return flat.reshape(*batch.shape, -1)
