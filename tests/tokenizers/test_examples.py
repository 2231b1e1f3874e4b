"""The examples in the README and in docstrings run and give what they show."""

import doctest
from pathlib import Path
from types import ModuleType

import pytest

from alpha_tokenizers import bpe, char, unicode_16, word

README = Path(__file__).parents[2] / "alpha-tokenizers" / "README.md"


def test_the_readme_example_gives_what_it_shows() -> None:
    result = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("module", [bpe, char, unicode_16, word])
def test_docstring_examples_give_what_they_show(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
