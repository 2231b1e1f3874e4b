"""Sources of text: what is found, in which order, and what is said when nothing is."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alpha_core.errors import DataError
from alpha_train.data.source import open_source, text_source
from alpha_train.data.standard_library import standard_library_files
from alpha_train.data.survey import pieces_of, survey


def texts_of(spec: str, **arguments: io.BytesIO) -> list[str]:
    with open_source(spec, standard_input=arguments.get("standard_input")) as source:
        return [piece.text for piece in pieces_of(survey(source).texts)]


def notes_of(spec: str) -> tuple[str, ...]:
    with open_source(spec) as source:
        return survey(source).notes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name, text in {"z.txt": "last", "a.txt": "first", "b/deep/c.md": "second", ".git/config": "hidden"}.items():
        (folder / name).write_text(text)
    return folder


def test_a_folder_is_searched_recursively_in_the_order_of_paths(folder: Path) -> None:
    assert texts_of(str(folder)) == ["first", "second", "last"]


def test_a_glob_takes_the_files_that_match_and_the_content_of_folders(folder: Path) -> None:
    assert texts_of(f"{folder}/*.txt") == ["first", "last"]
    assert texts_of(f"{folder}/**/*.md") == ["second"]
    assert texts_of(f"{folder}/[ab]*") == ["first", "second"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder: Path) -> None:
    (folder / "a[1].txt").write_text("brackets")
    assert texts_of(f"{folder}/a[1].txt") == ["brackets"]


def test_a_file_is_read_exactly_but_for_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffgrün\r\nblau\r".encode())
    assert texts_of(str(path)) == ["grün\r\nblau\r"]


def test_standard_input_can_be_read_again_and_again() -> None:
    with open_source("-", standard_input=io.BytesIO(b"from a pipe")) as source:
        for _ in range(2):
            assert [piece.text for piece in pieces_of(survey(source).texts)] == ["from a pipe"]


def test_standard_input_is_that_of_the_process() -> None:
    code = (
        "from alpha_train.data.source import open_source\n"
        "with open_source('-') as source: print([p.text for p in source.texts[0].pieces()], source.texts[0].size)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], input="piped", capture_output=True, text=True, check=True
    )
    assert result.stdout == "['piped'] 5\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_read_like_standard_input(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"printf hello > '{pipe}'"]):
        assert texts_of(str(pipe)) == ["hello"]


def test_files_that_are_not_text_are_left_out_with_a_note(folder: Path) -> None:
    (folder / "image.png").write_bytes(b"\x89PNG\0\0")
    (folder / "latin.txt").write_bytes("grün".encode("latin-1"))
    assert texts_of(str(folder)) == ["first", "second", "last"]
    (note,) = notes_of(str(folder))
    assert note == (f"left out 2 of 5 files: 1 binary (`{folder}/image.png`); 1 not UTF-8 (`{folder}/latin.txt`)")


def test_bytes_that_break_late_in_a_file_leave_nothing_of_it_behind(folder: Path) -> None:
    (folder / "b" / "long.txt").write_bytes(b"words " * 400_000 + b"\xff")
    with open_source(str(folder)) as source:
        found = survey(source)
    assert found.documents.characters == len("firstsecondlast")
    assert len(found.documents.sizes) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no text in `{path}`: nothing, or only whitespace"),
        (b" \n\t ", "there is no text in `{path}`: nothing, or only whitespace"),
        (b"a\0b", "`{path}` is no text file: it is binary"),
        (b"gr\xfcn", "`{path}` is no text file: it is not UTF-8"),
    ],
)
def test_a_file_without_text_is_refused_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        texts_of(str(path))
    assert caught.value.message == message.format(path=path)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no files"):
        texts_of(str(tmp_path / "empty"))


def test_a_folder_without_text_is_refused_with_the_reasons(tmp_path: Path) -> None:
    for i in range(5):
        (tmp_path / f"{i}.bin").write_bytes(b"\0")
    with pytest.raises(DataError, match=r"left out: 5 binary \(`.*0.bin`, `.*1.bin`, `.*2.bin`, \.\.\.\)"):
        texts_of(f"{tmp_path}/*.bin")


def test_a_glob_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file matches `.*\*\.txt`"):
        texts_of(f"{tmp_path}/*.txt")


def test_a_mistyped_name_brings_a_suggestion(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        texts_of(f"{folder}/a.text")
    assert caught.value.hint == f"did you mean `{folder}/a.txt`?"
    with pytest.raises(DataError) as caught:
        texts_of("pyton")
    assert caught.value.hint == "did you mean `python`?"


def test_a_path_without_its_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder `.*nowhere`"):
        texts_of(f"{tmp_path}/nowhere/a.txt")


def test_names_that_share_only_their_folder_are_no_suggestion(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        texts_of(f"{folder}/quite-another")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("name a file, a folder, a glob")


@pytest.mark.parametrize("spec", ["x" * 5000, "a\0b", "~nobody-has-this-name/x"])
def test_a_path_that_no_system_takes_is_a_data_error(spec: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        texts_of(spec)


@pytest.mark.skipif(os.getuid() == 0, reason="runs as root, whom no permission stops")
def test_a_folder_that_cannot_be_read_is_named_and_a_file_is_left_out(folder: Path) -> None:
    (folder / "a.txt").chmod(0)
    assert "unreadable (Permission denied)" in notes_of(str(folder))[0]
    (folder / "b").chmod(0)
    with pytest.raises(DataError, match=r"folder `.*b` cannot be read: Permission denied"):
        texts_of(str(folder))
    (folder / "b").chmod(0o700)


def test_texts_in_memory_are_a_source() -> None:
    assert [piece.text for piece in pieces_of(survey(text_source(["one\r\n", "two"])).texts)] == ["one\r\n", "two"]


def test_the_standard_library_is_real_code_without_tests_and_tables() -> None:
    files = standard_library_files()
    paths = [path for path, _ in files]
    assert 6e6 < sum(path.stat().st_size for path in paths) < 13e6
    assert {"argparse.py", "pathlib.py", "typing.py"} & {path.name for path in paths}
    folders = {part for path in paths for part in path.relative_to(paths[0].parent).parts[:-1]}
    assert not folders & {"test", "tests", "site-packages", "dist-packages", "encodings", "__pycache__", "idle_test"}
    assert paths == [path for path, _ in standard_library_files()]


def test_source_files_of_the_standard_library_may_declare_an_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module.py").write_bytes("# coding: latin-1\n# grün\n".encode("latin-1"))
    (tmp_path / "broken.py").write_bytes(b"# coding: no-such-encoding\n")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(tmp_path)})
    assert texts_of("python") == ["# coding: no-such-encoding\n", "# coding: latin-1\n# grün\n"]


def test_an_interpreter_without_sources_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(tmp_path / "python311.zip")})
    with pytest.raises(DataError, match="comes without the source"):
        texts_of("python")


def test_a_folder_called_python_is_pointed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python").mkdir()
    monkeypatch.chdir(tmp_path)
    with open_source("python") as source:
        assert "`./python`" in source.notes[0]
