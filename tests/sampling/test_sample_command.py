"""`alpha sample` as a person runs it: real processes, and wrong input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ALPHA = str(Path(sys.executable).with_name("alpha"))
TEXT = "".join(f"line {i}: the quick brown fox jumps over {i * i} lazy dogs\n" for i in range(150))
TRAIN = [
    *("train", "--data=text.txt", "--tokenizer=char", "--backend=cpu_ref", "--block=16", "--layers=1", "--dim=16"),
    *("--heads=2", "--batch=8", "--iters=60", "--eval-interval=0", "--eval-iters=2", "--lr=1e-2"),
    *("--sample-interval=60", "--num-samples=2", "--stop=q", "--stop=z", "--steps=12"),
]

Sample = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small trained run."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT)
    trained = subprocess.run([ALPHA, *TRAIN], cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr
    return folder


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHA_")}
    return {**kept, "ALPHA_CACHE": str(folder / "cache"), "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def sample(folder: Path) -> Sample:
    def run(*arguments: str, stdin: str | bytes = "", **variables: str) -> subprocess.CompletedProcess[str]:
        backend = () if any(argument.startswith("--backend") for argument in arguments) else ("--backend=cpu_ref",)
        done = subprocess.run(
            [ALPHA, "sample", *arguments, *backend],
            cwd=folder,
            env={**environment(folder), **variables},
            capture_output=True,
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            timeout=120,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def texts(result: subprocess.CompletedProcess[str]) -> list[str]:
    assert result.returncode == 0, result.stderr
    return [sample["text"] for sample in json.loads(result.stdout)["samples"]]


def test_samples_during_training_obey_the_same_settings(folder: Path, sample: Sample) -> None:
    (run,) = (folder / "runs").iterdir()
    rows = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    outputs = [row["output"] for row in rows]
    assert len(outputs) == 2
    for output in outputs:
        assert not {"q", "z"} & set(output)
        assert len(output) <= 12
    assert texts(sample("--checkpoint=latest", f"--prompt={rows[0]['prompt']}", "--json")) == outputs


def test_json_tells_everything(sample: Sample) -> None:
    arguments = ("last", "--prompt=line ", "--prompt=the ", "--steps=20", "--num-samples=2", "--sample-seed=5")
    result = sample(*arguments, "--stop=", "--logprobs=3", "--json")
    assert result.returncode == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["step"] == 60
    assert content["settings"]["sample_seed"] == 5
    assert content["settings"]["stop"] == []
    samples = content["samples"]
    assert [(s["prompt"], s["number"], s["seed"]) for s in samples] == [
        (prompt, number, 5) for prompt in ("line ", "the ") for number in (0, 1)
    ]
    for one in samples:
        assert "".join(token["text"] for token in one["tokens"]) == one["text"]
        assert (one["stopReason"], len(one["tokens"])) == ("length", 20)
        assert (one["stopString"], one["beamScore"]) == (None, None)
        for token in one["tokens"]:
            logprobs = [other["logprob"] for other in token["alternatives"]]
            assert len(logprobs) == 3
            assert logprobs == sorted(logprobs, reverse=True)
            assert token["logprob"] <= logprobs[0] < 0
    plain = sample(*arguments, "--stop=").stdout
    headings = [f"--- prompt {p}, sample {n} ---\n" for p in (1, 2) for n in (1, 2)]
    parts = [heading + s["prompt"] + s["text"] + "\n" for heading, s in zip(headings, samples, strict=True)]
    assert plain == "".join(parts)


def test_a_prompt_from_standard_input_is_that_of_the_flag(sample: Sample) -> None:
    arguments = ("--steps=20", "--temperature=0", "--num-samples=1")
    expected = sample("--prompt=the quick", *arguments).stdout
    assert expected.startswith("the quick")
    for text in ("the quick", "the quick\r\n"):
        assert sample("--prompt=-", *arguments, stdin=text).stdout == expected
    assert sample("--prompt=-", *arguments, stdin="the quick\n\n").stdout.startswith("the quick\n")


def test_text_is_streamed_while_it_is_written(folder: Path) -> None:
    command = [ALPHA, "sample", "--prompt=the ", "--steps=100000", "--stop=", "--num-samples=1", "--backend=cpu_ref"]
    process = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    with process:
        shown = b""
        while len(shown) < 40 and (piece := process.stdout.read(40 - len(shown))):
            shown += piece
        assert process.poll() is None
        process.kill()
    assert shown.startswith(b"the ")


def test_stop_strings_come_from_flags_lists_and_the_environment(sample: Sample) -> None:
    arguments = ("--prompt=line ", "--steps=40", "--num-samples=1", "--json")
    (whole,) = texts(sample(*arguments, "--stop="))
    first, second = whole[20:22], whole[8:10]
    expected = [whole[: min(whole.index(first), whole.index(second))]]
    assert texts(sample(*arguments, f"--stop={first}", f"--stop={second}")) == expected
    assert texts(sample(*arguments, f"--stop={json.dumps([first, second])}")) == expected
    assert texts(sample(*arguments, ALPHA_STOP=json.dumps([first, second]))) == expected
    result = json.loads(sample(*arguments, f"--stop={first}").stdout)["samples"][0]
    assert (result["stopReason"], result["stopString"]) == ("stop_string", first)


def test_log_probabilities_follow_the_text(sample: Sample) -> None:
    lines = sample("--prompt=the quick", "--steps=3", "--num-samples=1", "--stop=", "--logprobs=2").stdout.split("\n")
    rows = [line.split(" | ") for line in lines[-4:-1]]
    assert [len(row) for row in rows] == [3, 3, 3]
    assert all(float(column.split()[0]) <= 0 for row in rows for column in row)
    chosen_only = sample("--prompt=the quick", "--steps=3", "--num-samples=1", "--stop=", "--logprobs=0").stdout
    assert "|" not in chosen_only
    assert len(chosen_only.split("\n")) == len(lines)


def test_beam_search_beats_the_greedy_choice_by_its_own_measure(sample: Sample) -> None:
    common = ("--prompt=line ", "--steps=20", "--stop=", "--num-samples=1", "--json")
    (beam,) = json.loads(sample(*common, "--beam=6").stdout)["samples"]
    (greedy,) = json.loads(sample(*common, "--temperature=0").stdout)["samples"]
    logprobs = [token["logprob"] for token in greedy["tokens"]]
    assert beam["beamScore"] >= np.mean(logprobs) - 1e-6
    assert beam["beamScore"] == pytest.approx(np.mean([token["logprob"] for token in beam["tokens"]]), abs=1e-5)
    assert sample(*common, "--beam=6").stdout == sample(*common, "--beam=6").stdout


def test_symbols_that_the_tokenizer_does_not_know_are_noted(sample: Sample) -> None:
    result = sample("--prompt=große ", "--steps=2", "--num-samples=1")
    assert result.stdout.startswith("große ")
    assert "note: the tokenizer does not know every symbol of the prompt" in result.stderr
    assert sample("--prompt=", "--steps=2", "--num-samples=1").returncode == 0  # a new document


def test_quantized_weights_hardly_change_what_the_model_predicts(folder: Path, sample: Sample) -> None:
    perplexities = {}
    for weights in (None, "f32", "bf16", "int8"):
        option = () if weights is None else (f"--weights={weights}",)
        command = [ALPHA, "eval", "last", *option, "--backend=cpu_ref", "--json"]
        done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        perplexities[weights] = json.loads(done.stdout)["perplexity"]
        content = json.loads(sample(*option, "--prompt=line ", "--stop=", "--num-samples=1", "--json").stdout)
        assert content["weights"] == (weights or "f32")
        assert len(content["samples"][0]["tokens"]) > 5
    assert perplexities["f32"] == perplexities[None] < 15  # of 41 symbols: it has learned something
    for weights, bound in (("bf16", 0.002), ("int8", 0.01)):
        assert 0 < abs(perplexities[weights] / perplexities["f32"] - 1) < bound


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message", "hint"),
    [
        (["--top-p=2"], "", 2, "`top_p` = `2` (flag `--top-p`): expected a number, 1 or less and above 0", ""),
        (["--beam=4", "--num-samples=2"], "", 2, "beam search finds one text", ""),
        (
            ["--beam=4", "--num-samples=1", "--temperature=0.5", "--top-k=3"],
            "",
            2,
            "`temperature` = `0.5` (flag `--temperature`) has no effect with `beam` = `4`",
            "`top_k` = `3`",
        ),
        (['--stop=["a", ""]'], "", 2, "`stop`", "expected a text, or a JSON list of texts that are not empty"),
        (["--logprobs=-1"], "", 2, "`--logprobs` is `-1`", ""),
        (["--logprobs=many"], "", 2, "`--logprobs`", "hint: "),
        (["--temprature=1"], "", 2, "`--temprature`", "did you mean `--temperature`?"),
        (["--prompt=-"], "", 2, "standard input is empty", "hint: "),
        (["--prompt=-", "--prompt=-"], "text", 2, "more than once", ""),
        (["--prompt=-"], b"a\xff", 4, "standard input is not UTF-8 text: byte 1 is `0xff`", ""),
        (["lats"], "", 2, "there is no run `lats`", ""),
        (["last", "--checkpoint=7"], "", 2, "has no checkpoint `7`", ""),
        (
            ["--weights=int4"],
            "",
            2,
            "weights cannot be `int4`; they can be `f32`, `bf16`, `int8`",
            "did you mean `int8`?",
        ),
        (["last", "--backend=cpu_reff"], "", 2, "cpu_reff", "did you mean"),
    ],
)
def test_a_mistake_is_explained_in_a_line(
    arguments: list[str], stdin: str | bytes, code: int, message: str, hint: str, sample: Sample
) -> None:
    result = sample(*arguments, stdin=stdin)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert hint in result.stderr
    assert result.stdout == ""
