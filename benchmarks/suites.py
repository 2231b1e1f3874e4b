"""The suites: which cases, and who takes part in them."""

import json
import statistics
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from alpha_bench.result import FAILED, OK, Result
from alpha_bench.suites.models import MODELS
from alpha_core.errors import DataError
from alpha_tokenizers import BpeTokenizer, hugging_face_json
from alpha_tokenizers.byte_symbols import bytes_of
from alpha_train.data.standard_library import standard_library_files
from benchmarks.case import NANOGPT_FLAGS, Case, attention_cases, decoding_cases, train_cases
from benchmarks.contest import Contest, compete
from benchmarks.entrant import AVX2_ONLY, alpha, hugging_face, pytorch, reading, thread_settings, tiktoken, tinygrad
from benchmarks.gpu import gpu

__all__ = ["ALL", "SUITES", "Options", "choose", "of_processes"]

PRECISIONS = ("f32", "bf16")
_TINYGRAD_MODELS = ("2x64", "4x128")
"""What tinygrad trains in a reasonable time."""
VOCAB_SIZE = 4096


@attrs.frozen(kw_only=True)
class Options:
    """What the command line says of all suites."""

    contest: Contest
    backend: str = "cpu"
    text: Path | None = None
    """Tiny Shakespeare, which `nanogpt` needs."""
    only: tuple[str, ...] = ()
    """Cases whose names begin so; empty for all."""
    quick: bool = False
    """Whether it is only tried out."""


def choose(cases: Sequence[Case], only: Sequence[str]) -> list[Case]:
    """Returns the cases whose names begin with one of `only`."""
    return [case for case in cases if not only or case.id.startswith(tuple(only))]


def train(options: Options) -> Iterator[list[Result]]:
    """Training steps."""
    for case in choose(train_cases("train", PRECISIONS), options.only):
        groups = [pytorch([mode], name=f"pytorch {mode}") for mode in ("eager", "compile")]
        if case.parameters["precision"] == "f32" and case.id.startswith(_TINYGRAD_MODELS):
            groups.append([tinygrad()])
        yield options.contest.hold(case, alpha(backend=options.backend), groups)


def avx2(options: Options) -> Iterator[list[Result]]:
    """Training steps at f32 with Alpha kept from AVX-512, and PyTorch both as it is and kept from it too."""
    modes = ("eager", "compile")
    groups = [pytorch(modes), pytorch(modes, name="pytorch, AVX2 only", environ=AVX2_ONLY)]
    models = [model for name, model in MODELS.items() if name != "gpt2-124m"]
    for case in choose(train_cases("avx2", ("f32",), models), options.only):
        yield options.contest.hold(case, alpha({"ALPHA_CPU_FEATURES": "avx2"}, backend=options.backend), groups)


def attention(options: Options) -> Iterator[list[Result]]:
    """Causal attention alone, forward and backward."""
    for case in choose(attention_cases(), options.only):
        yield options.contest.hold(case, alpha(backend=options.backend), [pytorch(["eager"], name="pytorch sdpa")])


def decode(options: Options) -> Iterator[list[Result]]:
    """Greedy decoding of one sequence."""
    for case in choose(decoding_cases(PRECISIONS), options.only):
        compiled = ("compile", "compile, C++ wrapper")
        groups = [
            [reading()],
            pytorch(["eager"], name="pytorch eager"),
            pytorch(compiled, name="pytorch compile"),
        ]
        yield options.contest.hold(case, alpha(backend=options.backend), groups)


def memory(options: Options) -> Iterator[list[Result]]:
    """Most resident memory of fresh processes that train, one process for each round.

    A round before the first fills the caches of compilers, and is not kept.
    """
    all_cores = thread_settings()[-1]
    peers = [
        entrant
        for mode in ("eager", "compile")
        for entrant in pytorch([mode], name=f"pytorch {mode}")
        if entrant.settings["threads"] == all_cores
    ]
    once = attrs.evolve(options.contest, rounds=1)
    for case in choose(train_cases("memory", PRECISIONS, [MODELS["6x256"]]), options.only):
        rounds = [
            compete(case, [alpha(backend=options.backend), *peers], once) for _ in range(options.contest.rounds + 1)
        ][1:]
        yield [of_processes(found) for found in zip(*rounds, strict=True)]


def of_processes(found: Sequence[Result]) -> Result:
    """Returns the result of several processes that did the same: the median of their peaks, and all of them as text."""
    failed = [result for result in found if result.status != OK]
    if failed:
        return failed[0]
    peaks = [result.memory_peak_bytes for result in found if result.memory_peak_bytes is not None]
    if not peaks:
        reason = "this system does not tell what a process's memory was at most"
        return attrs.evolve(found[0], status=FAILED, reason=reason, samples=())
    return attrs.evolve(
        found[0],
        samples=tuple(sample for result in found for sample in result.samples),
        memory_peak_bytes=int(statistics.median(peaks)),
        extra={**found[0].extra, "lowest_peak": min(peaks), "highest_peak": max(peaks)},
    )


def tokenizer(options: Options) -> Iterator[list[Result]]:
    """Training byte-level BPE and encoding with it: the standard library's source, and the text if one is given."""
    texts = {"python": [path.read_text(encoding) for path, encoding in standard_library_files()]}
    if options.text is not None:
        texts[options.text.stem] = [options.text.read_text(encoding="utf-8")]
    for name, documents in texts.items():
        with tempfile.TemporaryDirectory() as folder:
            for case in choose(_tokenizer_cases(name, documents, Path(folder)), options.only):
                groups = [hugging_face()]
                if case.id.endswith("encoding"):
                    groups.append(tiktoken())
                yield options.contest.hold(case, alpha(), groups)


def _tokenizer_cases(name: str, documents: Sequence[str], folder: Path) -> list[Case]:
    """Writes what workers read, the merges that Alpha learned among it, and returns the two cases."""
    trained = BpeTokenizer.train(documents, vocab_size=VOCAB_SIZE)
    artifacts = trained.to_artifacts()
    ranks = (b64encode(bytes_of(token)).decode() + f" {i}\n" for i, token in enumerate(artifacts["vocab"]))
    files = {
        "texts": json.dumps(documents),
        "artifacts": json.dumps(artifacts),
        "hugging_face": json.dumps(hugging_face_json(artifacts)),
        "tiktoken": "".join(ranks),
    }
    for file, content in files.items():
        (folder / file).write_text(content, encoding="utf-8")
    paths = {file: str(folder / file) for file in files}
    work = {"text_bytes": sum(len(document.encode("utf-8", "surrogatepass")) for document in documents)}
    return [
        Case(
            suite="tokenizer",
            id=f"{name} {task}",
            task=f"tokenizer {task}",
            parameters={"vocab_size": VOCAB_SIZE, "documents": len(documents)},
            files=paths,
            work=work,
            repetitions=1,
        )
        for task in ("training", "encoding")
    ]


def nanogpt(options: Options) -> Iterator[list[Result]]:
    """nanoGPT's run on a CPU as a whole process, from the start of Python to the last evaluation."""
    if options.text is None:
        raise DataError("the suite `nanogpt` needs its text", hint="name tiny Shakespeare with `--text=FILE`")
    cases = [
        Case(
            suite="nanogpt",
            id=precision,
            parameters={"flags": NANOGPT_FLAGS, "precision": precision},
            files={"text": str(options.text.resolve())},
            work={"steps": NANOGPT_FLAGS["iters"]},
            repetitions=1,
            seconds=0.0,
        )
        for precision in PRECISIONS
    ]
    contest = attrs.evolve(options.contest, trial_rounds=1)  # each takes minutes
    for case in choose(cases, options.only):
        group = pytorch(("eager", "compile"), precision=case.id)
        found = contest.hold(case, alpha(backend=options.backend, precision=case.id), [group])
        # The workers only wait for the processes that train.
        yield [attrs.evolve(result, memory_peak_bytes=None) for result in found]


def on_gpu(options: Options) -> Iterator[list[Result]]:
    """Training steps and products on a GPU."""
    yield from gpu(options.contest, options.only, quick=options.quick)


SUITES: Mapping[str, Callable[[Options], Iterator[list[Result]]]] = {
    "train": train,
    "avx2": avx2,
    "decode": decode,
    "nanogpt": nanogpt,
    "memory": memory,
    "attention": attention,
    "tokenizer": tokenizer,
    "gpu": on_gpu,
}
"""Each gives the results of one case after the other."""
ALL = tuple(name for name in SUITES if name != "gpu")
"""What `all` means: every machine has a processor."""
