"""The settings of sampling: texts as values, and rules about beam search."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_core.config import SampleConfig, load_config, settings_of
from alpha_core.config.setting import texts_of
from alpha_core.errors import ConfigError

STOP = next(setting for setting in settings_of(SampleConfig) if setting.key == "stop")
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=8)


def load(**flags: str) -> SampleConfig:
    return load_config(domain_config=lambda name: pytest.fail(name), flags=flags).config.sample


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("", ()),
        ("User:", ("User:",)),
        ("a, b", ("a, b",)),
        ('["\\n\\n", "User:"]', ("\n\n", "User:")),
        ("[]", ()),
        ("[", ("[",)),
        ("[1]", ("[1]",)),
        ('["a"', ('["a"',)),
        ("[" * 100_000, ("[" * 100_000,)),
    ],
)
def test_a_flag_holds_one_text_or_a_json_list(text: str, texts: tuple[str, ...]) -> None:
    assert texts_of(text) == texts
    assert load(stop=text).stop == texts


@given(st.lists(TEXTS, max_size=3), st.lists(TEXTS, max_size=3))
def test_flags_that_are_given_again_add_up(earlier: list[str], later: list[str]) -> None:
    joined = STOP.joined(STOP.text(tuple(earlier)), STOP.text(tuple(later)))
    assert texts_of(joined) == (*earlier, *later)


def test_a_file_holds_one_text_or_a_list(tmp_path) -> None:
    for value, texts in (("User:", ("User:",)), (["a,b", "\n"], ("a,b", "\n")), ([], ())):
        (tmp_path / "config.json").write_text(json.dumps({"sample": {"stop": value}}))
        loaded = load_config(domain_config=lambda name: pytest.fail(name), file=tmp_path / "config.json")
        assert loaded.config.sample.stop == texts


@pytest.mark.parametrize("stop", [("",), ("a\0",), ("\ud800",), "a", ("a", 1)])
def test_stop_strings_are_texts_that_files_can_hold(stop: object) -> None:
    with pytest.raises(ConfigError, match="expected a text, or a JSON list of texts that are not empty"):
        SampleConfig(stop=stop)  # type: ignore[arg-type]


def test_beam_search_finds_one_text() -> None:
    with pytest.raises(ConfigError) as caught:
        SampleConfig(beam=4, num_samples=2)
    assert caught.value.problems == (
        "`beam` = `4` and `num_samples` = `2` do not go together: beam search finds one text",
    )


def test_flags_of_draws_are_refused_beside_beam_search() -> None:
    with pytest.raises(ConfigError) as caught:
        load(beam="4", temperature="0.5", sample_seed="7", steps="9")
    assert caught.value.problems == (
        "`temperature` = `0.5` (flag `--temperature`) has no effect with `beam` = `4` (flag `--beam`):"
        " beam search draws nothing",
        "`sample_seed` = `7` (flag `--sample-seed`) has no effect with `beam` = `4` (flag `--beam`):"
        " beam search draws nothing",
    )


def test_draws_that_a_run_was_configured_with_may_give_way_to_beam_search(tmp_path) -> None:
    (tmp_path / "config.toml").write_text("[sample]\ntemperature = 0.5\n")
    loaded = load_config(
        domain_config=lambda name: pytest.fail(name), file=tmp_path / "config.toml", flags={"beam": "4"}
    )
    assert loaded.config.sample == SampleConfig(beam=4, temperature=0.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_p", -0.1),
        ("min_p", 1.1),
        ("repetition_penalty", 0.5),
        ("repetition_penalty", 101.0),
        ("repetition_window", -1),
        ("beam", 0),
        ("beam_length_penalty", -1.0),
        ("steps", 0),
    ],
)
def test_values_out_of_range_are_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"`{key}`"):
        SampleConfig(**{key: value})  # type: ignore[arg-type]
