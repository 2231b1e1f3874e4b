"""The generated parts of the documentation are up to date, and the check would notice if they were not."""

import shutil
from pathlib import Path

import pytest
from tests.docs.pages import DOCS
from tools import generate_docs


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DOCS, tmp_path / "docs"))


def test_every_generated_part_is_up_to_date() -> None:
    assert generate_docs.stale(DOCS) == [], "run `.venv/bin/python tools/generate_docs.py`"


def test_the_check_names_what_is_stale(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = copy / "ops.md"
    page.write_text(page.read_text(encoding="utf-8").replace("`sigmoid(x)`", "`sigmoid(y)`"), encoding="utf-8")
    monkeypatch.setattr(generate_docs, "DOCS", copy)
    monkeypatch.setattr(generate_docs, "PARTS", {"ops": generate_docs.PARTS["ops"]})
    assert generate_docs.main(["--check"]) == 1
    assert capsys.readouterr().err == "error: `docs/ops.md` is not up to date: run `tools/generate_docs.py`\n"
    assert generate_docs.main([]) == 0
    assert page.read_text(encoding="utf-8") == (DOCS / "ops.md").read_text(encoding="utf-8")


def test_a_page_without_the_marks_is_refused(copy: Path) -> None:
    (copy / "plugins" / "index.md").write_text("# Plugins\n")
    with pytest.raises(ValueError, match="needs the marks `<!-- generated: hooks -->` and `<!-- end: hooks -->`"):
        generate_docs.stale(copy)
