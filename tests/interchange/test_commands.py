"""`alpha export` and `alpha import`, as a person runs them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.interchange.conftest import DATA, LLAMA, Make

from alpha_cli.main import main
from alpha_train import RunFolder

Alpha = Callable[..., tuple[int, str, str]]


@pytest.fixture
def alpha(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Alpha:
    """Runs one command line in the test's folder; returns exit code, output and error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALPHA_PLUGINS", raising=False)
    monkeypatch.setenv("ALPHA_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_an_import_can_be_sampled_evaluated_and_trained_on(alpha: Alpha, tmp_path: Path) -> None:
    code, out, err = alpha("import", str(DATA / "gpt2"), "--from=hf")
    assert (code, err) == (0, "")
    folder = Path(out.strip())
    assert folder.name.startswith("imported_")
    assert (folder / "checkpoint-0.alph").exists()
    Path("text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 200)
    code, out, err = alpha("sample", "last", "--prompt=the", "--steps=4", "--backend=cpu_ref")
    assert (code, "the" in out) == (0, True), err
    code, out, err = alpha("eval", "last", "--data=text.txt", "--json", "--batches=1", "--backend=cpu_ref")
    assert code == 0, err
    before = json.loads(out)["loss"]
    code, _, err = alpha("eval", "last", "--backend=cpu_ref")
    assert (code, "was imported, and has no text of its own" in err) == (4, True)
    settings = ["--iters=8", "--batch=2", "--lr=1e-2", "--dropout=0", "--sample-interval=0", "--backend=cpu_ref"]
    code, out, err = alpha("train", f"--init-from={folder}", "--data=text.txt", "--quiet", "--json", *settings)
    assert code == 0, err
    assert "weights of run `imported_" in err
    assert "optimizer state: new, for the parent has none" in err
    child = RunFolder(Path(json.loads(out)["folder"]))
    assert child.read_tokenizer() == RunFolder(folder).read_tokenizer()
    code, out, _ = alpha("eval", child.run_id, "--data=text.txt", "--json", "--batches=1", "--backend=cpu_ref")
    assert json.loads(out)["loss"] < before


def test_each_format_is_written_and_says_where(alpha: Alpha, make: Make, tmp_path: Path) -> None:
    make(**LLAMA)
    for format, name in {"hf": "hf", "safetensors": "m.safetensors", "gguf": "m.gguf"}.items():
        code, out, err = alpha("export", "last", f"--to={format}", f"--out={name}")
        assert (code, out, err) == (0, f"run made, step 0: `{name}`\n", "")
    for source, format in (("hf", "hf"), ("m.safetensors", "safetensors")):
        code, out, err = alpha("import", source, f"--from={format}", f"--out=again/{format}")
        assert (code, out, err) == (0, f"again/{format}\n", "")
    one, other = (RunFolder(Path("again", format)).latest_checkpoint() for format in ("hf", "safetensors"))
    for name, value in one.parameters.items():
        assert value.tobytes() == other.parameters[name].tobytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["export", "last", "--to=onnx", "--out=x"],
            2,
            "no format `onnx`; there are `safetensors`, `hf`, `gguf`",
        ),
        (["export", "last", "--to=hff", "--out=x"], 2, "did you mean `hf`?"),
        (["export", "last", "--to=hf", "--out=full"], 2, "the folder `full` is not empty"),
        (["export", "last", "--to=hf", "--out=file"], 2, "`file` exists"),
        (["export", "last", "--to=gguf", "--out=full"], 2, "`full` is a folder"),
        (["export", "last", "--to=gguf", "--out=file"], 2, "--force"),
        (["export", "nothing", "--to=hf", "--out=x"], 2, "there is no run `nothing`"),
        (["export", "last", "--to=hf", "--out=x", "--checkpoint=5"], 2, "has no checkpoint `5`"),
        (["export", "last", "--to=safetensors", "--out=file/x"], 5, "cannot be written: Not a directory"),
        (["import", "file", "--from=gguf"], 2, "there is no format `gguf`; there are `safetensors`, `hf`"),
        (["import", "file", "--from=hf"], 5, "`file/config.json` cannot be read"),
        (["import", "file", "--from=safetensors"], 5, "`file` is no safetensors file that can be used: it has 1 bytes"),
        (["import", "none", "--from=safetensors"], 5, "there is no file `none`"),
        (["import", "file", "--from=safetensors", "--tokenizer=t.json"], 4, "`t.json` cannot be read"),
        (["import", str(DATA / "llama"), "--from=hf", "--out=full"], 2, "cannot be made: File exists"),
    ],
)
def test_bad_input_is_refused_in_a_line(
    arguments: list[str], code: int, message: str, alpha: Alpha, make: Make, tmp_path: Path
) -> None:
    make()
    Path(tmp_path, "full").mkdir()
    Path(tmp_path, "full", "x").touch()
    Path(tmp_path, "file").write_text("x")
    found, out, err = alpha(*arguments)
    assert message in err
    assert (found, out) == (code, "")
    assert "Traceback" not in err


def test_force_replaces_what_is_there(alpha: Alpha, make: Make, tmp_path: Path) -> None:
    make()
    Path(tmp_path, "m.gguf").write_text("old")
    Path(tmp_path, "hf").mkdir()
    Path(tmp_path, "hf", "config.json").write_text("old")
    for arguments in (["--to=gguf", "--out=m.gguf"], ["--to=hf", "--out=hf"]):
        assert alpha("export", "last", *arguments, "--force")[0] == 0
    assert Path("m.gguf").read_bytes().startswith(b"GGUF")
    assert json.loads(Path("hf/config.json").read_text())["model_type"] == "gpt2"
