"""Holds exported and imported models against the real `transformers` and `llama.cpp`, and prints how they differ.

Makes an environment with what `tools/interchange/requirements.txt` lists (a few hundred megabytes, once), or takes the
one whose Python `--python=FILE` names. `--llama-python=FILE` names one with `llama-cpp-python`, which is built from
source where there is no wheel; without it llama.cpp is left out. `--write-reference` makes the models anew that
`tests/interchange` imports.

Run it with the Python of the development environment: `.venv/bin/python tools/check_interchange.py`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core import Plugins, load_plugins
from alpha_core.config import ModelConfig
from alpha_core.dtype import DType
from alpha_core.tokenizer import Tokenizer
from alpha_interchange import ImportedModel, read_hf, write_gguf, write_hf, write_run
from alpha_model import GPT
from alpha_tokenizers import BpeTokenizer, CharTokenizer, WordTokenizer
from alpha_train.stored_model import StoredModel, read_model

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / "tools" / "interchange" / "peer.py"
REQUIREMENTS = ROOT / "tools" / "interchange" / "requirements.txt"
ENVIRONMENT = ROOT / "benchmarks" / "environments" / "interchange"
REFERENCE = ROOT / "tests" / "interchange" / "data"
TOLERANCE = 1e-4
LLAMA_TOLERANCE = 5e-3
"""llama.cpp keeps keys and values in 16 bits, and looks GELU up in a table of 16-bit numbers."""

TEXTS = ["the quick brown fox, don't 123!", "  naïve café 字字\n\n", "<|end_of_text|>a<|end_of_text|> b"]
LLAMA: dict[str, Any] = {"norm": "rms", "position": "rotary", "activation": "swiglu"}
MODELS: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "gpt2-tied-bias": {"tie_embeddings": True, "bias": True, "ffn_width": 100, "norm_eps": 1e-3},
    "gpt2-relu": {"activation": "relu"},
    "gpt2-relu2": {"activation": "relu2"},
    "gpt2-silu": {"activation": "silu", "bias": True},
    "llama": LLAMA,
    "llama-tied-bias": {**LLAMA, "tie_embeddings": True, "bias": True, "rope_base": 300.0, "norm_eps": 1e-3},
    "char": {"tokenizer": CharTokenizer},
    "word": {**LLAMA, "tokenizer": WordTokenizer},
}


def python_of_environment() -> Path:
    """Returns the Python of the peers' environment, which is made if it is missing."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / REQUIREMENTS.name
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == REQUIREMENTS.read_text("utf-8"):
        return python
    print(f"making the environment {ENVIRONMENT}", file=sys.stderr)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS], check=True)
    shutil.copy(REQUIREMENTS, stamp)
    return python


def made_models(folder: Path, plugins: Plugins) -> dict[str, StoredModel]:
    """Returns random models of every kind that can be exported, from run folders."""
    models = {}
    for name, options in MODELS.items():
        settings = dict(options)
        kind = settings.pop("tokenizer", BpeTokenizer)
        tokenizer: Tokenizer = (
            kind.train([*TEXTS, *TEXTS], vocab_size=300) if kind is BpeTokenizer else kind.train(TEXTS)
        )
        config = ModelConfig(vocab_size=tokenizer.vocab_size, block_size=64, n_layer=3, n_embd=64, n_head=4, **settings)
        model = GPT(config)
        generator = np.random.default_rng(3)
        values = {
            key: (value + 0.1 * generator.standard_normal(value.shape)).astype(np.float32)
            for key, value in model.initial_parameters(1).items()
        }
        imported = ImportedModel(model=model, parameters=values, tokenizer=tokenizer.to_artifacts())
        models[name] = read_model(write_run(folder / name, imported), plugins)
    return models


def logits(model: GPT, values: Any, tokens: npt.NDArray[Any], plugins: Plugins) -> npt.NDArray[np.float64]:
    backend = plugins.choose_backend("auto").load()
    parameters = {name: backend.upload(value, DType.f32) for name, value in values.items()}
    flat = backend.download(model.logits(backend, parameters, backend.upload(tokens)))
    return flat.reshape(*tokens.shape, -1).astype(np.float64)


class Report:
    def __init__(self) -> None:
        self.failed = False

    def add(self, what: str, difference: float, tolerance: float, ids: bool | None) -> None:
        good = difference <= tolerance and ids is not False
        self.failed |= not good
        tokens = "" if ids is None else ", ids the same" if ids else ", IDS DIFFER"
        print(f"{'ok ' if good else 'BAD'} {what:32} logits within {difference:.2e}{tokens}")


def same_ids(found: Any, tokenizer: Tokenizer) -> bool | None:
    if "ids0" not in found:
        return None
    return all(found[f"ids{i}"].tolist() == tokenizer.encode(text) for i, text in enumerate(TEXTS))


def check_exports(python: Path, llama: Path | None, folder: Path, plugins: Plugins, report: Report) -> None:
    models = made_models(folder / "runs", plugins)
    out = folder / "exports"
    for name, stored in models.items():
        where = out / name
        write_hf(where, stored)
        tokens = np.random.default_rng(4).integers(0, stored.tokenizer.vocab_size, (2, 48)).astype(np.int32)
        np.save(where / "tokens.npy", tokens)
        (where / "texts.json").write_text(json.dumps(TEXTS), encoding="utf-8")
        if name not in ("gpt2-relu", "gpt2-relu2", "gpt2-silu"):
            notes = write_gguf(where / "model.gguf", stored)
            if not notes:
                (where / "has_tokenizer").touch()
    subprocess.run([python, PEER, "logits", out], check=True)
    if llama is not None:
        subprocess.run([llama, PEER, "llama", out], check=True)
    for name, stored in models.items():
        ours = logits(stored.model, stored.checkpoint.parameters, np.load(out / name / "tokens.npy"), plugins)
        found = np.load(out / name / "peer.npz")
        difference = float(np.abs(found["logits"] - ours).max())
        report.add(f"{name} in transformers", difference, TOLERANCE, same_ids(found, stored.tokenizer))
        if (out / name / "llama.npz").exists():
            found = np.load(out / name / "llama.npz")
            difference = float(np.abs(found["logits"] - ours).max())
            report.add(f"{name} in llama.cpp", difference, LLAMA_TOLERANCE, same_ids(found, stored.tokenizer))


def check_imports(python: Path, folder: Path, plugins: Plugins, report: Report) -> None:
    subprocess.run([python, PEER, "make", folder], check=True)
    for where in sorted(folder.iterdir()):
        imported = read_hf(where)
        reference = np.load(where / "reference.npz")
        ours = logits(imported.model, imported.parameters, reference["tokens"], plugins)
        tokenizer = plugins.load_tokenizer(imported.tokenizer)
        texts = json.loads((where / "texts.json").read_text(encoding="utf-8"))
        ids = all(reference[f"ids{i}"].tolist() == tokenizer.encode(text) for i, text in enumerate(texts))
        report.add(f"{where.name} imported", float(np.abs(reference["logits"] - ours).max()), TOLERANCE, ids)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", type=Path)
    parser.add_argument("--llama-python", type=Path)
    parser.add_argument("--write-reference", action="store_true")
    arguments = parser.parse_args()
    python = arguments.python or python_of_environment()
    report, plugins = Report(), load_plugins()
    with tempfile.TemporaryDirectory(prefix="alpha-interchange-") as name:
        folder = Path(name)
        check_exports(python, arguments.llama_python, folder, plugins, report)
        check_imports(python, folder / "imports", plugins, report)
        if arguments.write_reference and not report.failed:
            shutil.rmtree(REFERENCE, ignore_errors=True)
            shutil.copytree(folder / "imports", REFERENCE)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
