"""Merging settings from all their sources."""

import json

import pytest

from alpha_core.config import DomainConfig, RunConfig, format_toml, load_config, to_dict
from alpha_core.errors import ConfigError, UnknownNameError

POETRY = DomainConfig(
    tokenizer="char", model={"n_layer": 2, "n_head": 2}, train={"data": "poems", "lr": 0.5}, prompts=("O ",)
)


def find_domain(name):
    if name != "poetry":
        raise UnknownNameError(f"no domain `{name}`", hint="did you mean `poetry`?")
    return POETRY


@pytest.fixture
def load(tmp_path):
    """Loads with a config file of the given text."""

    def load(toml=None, *, name="alpha.toml", **sources):
        file = None
        if toml is not None:
            file = tmp_path / name
            file.write_text(toml, encoding="utf-8")
        return load_config(domain_config=find_domain, file=file, **sources)

    return load


def problems_of(load, *arguments, **keywords):
    with pytest.raises(ConfigError) as error:
        load(*arguments, **keywords)
    return error.value.problems


def test_nothing_given_yields_the_defaults(load):
    loaded = load()
    assert loaded.config == RunConfig()
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.notes == ()
    assert loaded.domain_config is None


def test_each_source_lies_over_the_one_before_it(load):
    toml = "[model]\nn_layer = 3\nblock_size = 33\n[train]\nlr = 0.25\niters = 30\n"
    environ = {"ALPHA_LR": "0.125", "ALPHA_ITERS": "40", "ALPHA_SEED": "4"}
    loaded = load(toml, domain="poetry", environ=environ, flags={"iters": "50", "steps": "5"})
    model, train, sample = loaded.config.model, loaded.config.train, loaded.config.sample
    assert loaded.config.domain == "poetry"
    assert (model.n_head, model.n_layer, model.block_size) == (2, 3, 33)
    assert (train.tokenizer, train.lr, train.iters, train.seed, sample.steps) == ("char", 0.125, 50, 4, 5)
    assert loaded.sources["n_embd"] == "default"
    assert loaded.sources["n_head"] == "domain `poetry`"
    assert loaded.sources["n_layer"].startswith("file `")
    assert loaded.sources["lr"] == "environment variable `ALPHA_LR`"
    assert loaded.sources["iters"] == "flag `--iters`"
    assert loaded.domain_config is POETRY


@pytest.mark.parametrize(
    ("flag", "environ", "toml"),
    [
        ("poetry", {"ALPHA_DOMAIN": "other"}, 'domain = "third"'),
        (None, {"ALPHA_DOMAIN": "poetry"}, 'domain = "third"'),
        (None, {}, 'domain = "poetry"'),
    ],
)
def test_the_domain_is_taken_from_the_flag_then_the_environment_then_the_file(load, flag, environ, toml):
    assert load(toml, domain=flag, environ=environ).config.domain == "poetry"


def test_an_unknown_domain_is_one_problem_among_the_others(load):
    problems = problems_of(load, domain="poetri", flags={"lr": "x"})
    assert problems == (
        "`domain` = `poetri` (flag `--domain`): no domain `poetri`; did you mean `poetry`?",
        "`lr` = `x` (flag `--lr`): expected a number, above 0",
    )


def test_a_file_may_spell_keys_as_the_original_did_and_by_their_aliases(load):
    toml = "[train]\nevalInterval = 7\naccum-steps = 2\n[model]\nlayers = 5\nffnActivation = 'silu'\n[sample]\ntopk = 3"
    config = load(toml).config
    assert (config.train.eval_interval, config.train.accum_steps) == (7, 2)
    assert (config.model.n_layer, config.model.activation, config.sample.top_k) == (5, "silu", 3)


def test_everything_wrong_in_every_source_is_reported_at_once(load):
    toml = """
        n_layer = 3
        [model]
        n_layr = 3
        n_embd = "wide"
        dropout = 1.5
        lr = 0.1
        layers = 2
        n_layer = 2
        [trian]
        [sample]
        top_k = true
    """
    environ = {"ALPHA_PACKED": "perhaps", "ALPHA_SEED": "3.5"}
    flags = {"lr": "nan", "iters": "3.5", "n_head": "0", "eval_intervall": "1", "sinks": "a,,b"}
    problems = problems_of(load, toml, environ=environ, flags=flags)
    expected = [
        ("`n_layer` (file", "belongs in [model]"),
        ("unknown key `n_layr` in [model] (file", "; did you mean `n_layer`?"),
        ("`n_embd` = `wide` (file", "expected an integer, 1 or more"),
        ("`dropout` = `1.5` (file", "expected a number, 0 or more and below 1"),
        ("`lr` in [model] (file", "belongs in [train]"),
        ("`layers` and `n_layer` (file", "are the same setting"),
        ("unknown section `trian` (file", "; did you mean `[train]`?"),
        ("`top_k` = `true` (file", "expected an integer, 0 or more"),
        ("`seed` = `3.5` (environment variable `ALPHA_SEED`)", "expected an integer"),
        ("`packed` = `perhaps` (environment variable `ALPHA_PACKED`)", "expected `true` or `false`"),
        ("`lr` = `nan` (flag `--lr`)", "expected a number, above 0"),
        ("`iters` = `3.5` (flag `--iters`)", "expected an integer, 1 or more"),
        ("`n_head` = `0` (flag `--n-head`)", "expected an integer, 1 or more"),
        ("unknown flag `--eval-intervall`", "; did you mean `--eval-interval`?"),
        ("`sinks` = `a,,b` (flag `--sinks`)", "expected different names, separated by commas"),
    ]
    for problem, (start, end) in zip(problems, expected, strict=True):
        assert problem.startswith(start)
        assert end in problem


def test_a_contradiction_between_sources_names_them(load):
    problems = problems_of(load, domain="poetry", flags={"n_embd": "9"})
    assert problems == ("`n_embd` = `9` (flag `--n-embd`) must be a multiple of `n_head` = `2` (domain `poetry`)",)


LION = {"lr": 1e-4, "beta2": 0.99}


def find_optimizer(name):
    if name == "adamw":
        return {}
    if name != "lion":
        raise UnknownNameError(f"no optimizer `{name}`", hint="did you mean `lion`?")
    return LION


@pytest.mark.parametrize(
    ("sources", "name_source"),
    [
        ({"toml": "[train]\noptimizer = 'lion'"}, "file `"),
        ({"environ": {"ALPHA_OPTIMIZER": "lion"}}, "environment variable `ALPHA_OPTIMIZER`"),
        ({"flags": {"optimizer": "lion"}}, "flag `--optimizer`"),
    ],
)
def test_whichever_source_names_the_optimizer_its_settings_replace_defaults_alone(load, sources, name_source):
    loaded = load(**sources, optimizer_defaults=find_optimizer)
    assert (loaded.config.train.lr, loaded.config.train.beta2, loaded.config.train.beta1) == (1e-4, 0.99, 0.9)
    assert loaded.sources["optimizer"].startswith(name_source)
    assert loaded.sources["lr"] == loaded.sources["beta2"] == "optimizer `lion`"
    assert loaded.sources["beta1"] == "default"
    assert "\nlr = 0.0001  # optimizer `lion`\n" in format_toml(loaded.config, loaded.sources)


@pytest.mark.parametrize("given", [{"toml": "[train]\nlr = 3e-4"}, {"environ": {"ALPHA_LR": "3e-4"}}])
def test_what_was_given_goes_before_the_settings_of_the_optimizer_even_where_it_is_the_default(load, given):
    train = load(**given, flags={"optimizer": "lion"}, optimizer_defaults=find_optimizer).config.train
    assert (train.lr, train.beta2) == (3e-4, 0.99)


def test_a_domain_made_for_another_optimizer_goes_before_its_settings_and_is_noted(load):
    loaded = load(domain="poetry", flags={"optimizer": "lion"}, optimizer_defaults=find_optimizer)
    assert (loaded.config.train.lr, loaded.config.train.beta2) == (0.5, 0.99)
    assert "`lr` = `0.5` (domain `poetry`) may not suit optimizer `lion`, whose own is `0.0001`" in loaded.notes
    assert load(domain="poetry", flags={"data": "x"}, optimizer_defaults=find_optimizer).notes == ()
    chosen = {"optimizer": "lion", "lr": "0.1", "data": "x"}
    assert load(domain="poetry", flags=chosen, optimizer_defaults=find_optimizer).notes == ()


def test_a_domain_may_choose_the_optimizer():
    def lions(_):
        return DomainConfig(tokenizer="char", train={"optimizer": "lion", "beta2": 0.98, "data": "x"})

    loaded = load_config(domain="lions", domain_config=lions, optimizer_defaults=find_optimizer)
    assert (loaded.config.train.lr, loaded.config.train.beta2) == (1e-4, 0.98)
    assert loaded.notes == ()


def test_an_unknown_optimizer_and_its_wrong_settings_are_problems_among_the_others(load):
    problems = problems_of(load, flags={"optimizer": "lin", "lr": "x"}, optimizer_defaults=find_optimizer)
    assert problems == (
        "`lr` = `x` (flag `--lr`): expected a number, above 0",
        "`optimizer` = `lin` (flag `--optimizer`): no optimizer `lin`; did you mean `lion`?",
    )
    problems = problems_of(load, flags={"lr_min": "0.01"}, optimizer_defaults=lambda _: {"betta1": 1, "lr": 1e-3})
    assert problems == (
        "unknown key `betta1` in [train] (optimizer `adamw`); did you mean `beta1`?",
        "`lr_min` = `0.01` (flag `--lr-min`) must not be above `lr` = `0.001` (optimizer `adamw`)",
    )


def test_a_broken_value_is_reported_even_where_a_later_source_replaces_it(load):
    assert len(problems_of(load, environ={"ALPHA_LR": "fast"}, flags={"lr": "0.1"})) == 1


@pytest.mark.parametrize("text", ["true", "1", "yes", "on", "True", "ON"])
def test_text_that_means_yes(load, text):
    assert load(flags={"packed": text}).config.train.packed is True


@pytest.mark.parametrize("text", ["false", "0", "no", "off", "FALSE"])
def test_text_that_means_no(load, text):
    assert load(environ={"ALPHA_PACKED": text}).config.train.packed is False


@pytest.mark.parametrize(
    ("toml", "allowed"),
    [
        ("[model]\nn_layer = 3.0", "an integer"),
        ("[model]\nn_layer = '3'", "an integer"),
        ("[model]\nn_layer = true", "an integer"),
        ("[train]\nlr = true", "a number"),
        ("[train]\nlr = '0.1'", "a number"),
        ("[train]\nlr = nan", "a number"),
        ("[train]\npacked = 1", "`true` or `false`"),
        ("[train]\ndata = 3", "text"),
        ("[train]\nsinks = 3", "names"),
        ("[train]\nsinks = ['a', 1]", "names"),
    ],
)
def test_a_file_value_of_another_type_is_refused(load, toml, allowed):
    (problem,) = problems_of(load, toml)
    assert f"expected {allowed}" in problem or f"expected different {allowed}" in problem


def test_names_may_be_a_list_or_text_with_commas(load):
    assert load("[train]\nsinks = ['a', 'b']").config.train.sinks == ("a", "b")
    assert load("[train]\nsinks = 'a, b'").config.train.sinks == ("a", "b")
    assert load(flags={"sinks": "a,b"}).config.train.sinks == ("a", "b")
    assert load(flags={"sinks": ""}).config.train.sinks == ()


def test_a_section_that_is_no_table_and_a_domain_that_is_no_name_are_refused(load):
    problems = problems_of(load, json.dumps({"model": 3, "domain": 4}), name="alpha.json")
    assert "`domain` = `4`" in problems[0]
    assert "expected a table of settings" in problems[1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "[model]\nn_layer = = 3\n", "is no valid TOML: Invalid value (at line 2, column 11)"),
        ("a.json", '{"model":\n {"n_layer": }}', "is no valid JSON: Expecting value (at line 2, column 14)"),
        ("a.json", '{"model": {"n_layer": 1, "n_layer": 2}}', "key `n_layer` stands twice in one object"),
        ("a.json", "[]", "it holds no object `{...}`"),
        ("a.json", "[" * 100_000, "cannot be read: "),
        ("a.yaml", "", "is neither a `.toml` nor a `.json` file"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_one_line_with_the_place(load, name, text, message):
    with pytest.raises(ConfigError) as error:
        load(text, name=name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_a_folder_or_not_text_is_said_so(tmp_path):
    folder, binary = tmp_path / "folder.toml", tmp_path / "binary.toml"
    folder.mkdir()
    binary.write_bytes(b"[model]\nn_layer = \xff")
    for path, message in [
        (tmp_path / "absent.toml", "there is no config file"),
        (folder, "cannot be read: Is a directory"),
        (binary, "line 2: not UTF-8 text"),
    ]:
        with pytest.raises(ConfigError, match=message):
            load_config(domain_config=find_domain, file=path)


def test_a_byte_order_mark_is_no_syntax_error(load):
    assert load("\ufeff[model]\nn_layer = 3\n").config.model.n_layer == 3


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("ALPHA_BATCHSIZE", "ALPHA_BATCH_SIZE"),
        ("ALPHA_EVAL_INTERVALL", "ALPHA_EVAL_INTERVAL"),
        ("ALPHA_LAYERS", "ALPHA_N_LAYER"),
        ("ALPHA_DOMIAN", "ALPHA_DOMAIN"),
    ],
)
def test_a_variable_that_resembles_a_setting_is_noted(load, variable, meant):
    assert load(environ={variable: "1"}).notes == (
        f"environment variable `{variable}` is not used; did you mean `{meant}`?",
    )


@pytest.mark.parametrize(
    "variable",
    [
        "ALPHA_PLUGINS",
        "ALPHA_THREADS",
        "ALPHA_CACHE",
        "ALPHA_DEBUG",
        "ALPHA_HELIOS_SEED",
        "ALPHA_REMOTE_URL",
        "ALPHA_REMOTE_SECRET",
        "ALPHA_GPU_METRICS_SAMPLE_EVERY",
        "ALPHA_FAIL_ON_SMOKE_TEST",
        "ALPHA_ADAPTIVE_SYNC_MIN_INTERVAL",
        "ALPHABET_LR",
        "LR",
    ],
)
def test_a_variable_of_another_purpose_is_left_alone(load, variable):
    loaded = load(environ={variable: "1"})
    assert (loaded.config, loaded.notes) == (RunConfig(), ())


def test_a_warmup_as_long_as_the_run_is_noted(load):
    (note,) = load(flags={"warmup": "1000"}).notes
    assert note.startswith("`warmup` = `1000` (flag `--warmup`) is not shorter than `iters` = `1000`")


def test_a_domain_without_text_of_its_own_is_noted_unless_data_is_given():
    def bare(_):
        return DomainConfig(tokenizer="char")

    assert "brings no text" in load_config(domain="bare", domain_config=bare).notes[0]
    assert load_config(domain="bare", domain_config=bare, flags={"data": "poems.txt"}).notes == ()


def test_what_print_config_shows_names_the_sources_and_yields_the_same_configuration(load):
    loaded = load(domain="poetry", environ={"ALPHA_LR": "0.125"}, flags={"data": 'C:\\"x"\n', "n_head": "4"})
    text = format_toml(loaded.config, loaded.sources)
    assert "\nlr = 0.125  # environment variable `ALPHA_LR`\n" in text
    assert "\nn_head = 4  # flag `--n-head`\n" in text
    assert "\nn_layer = 2  # domain `poetry`\n" in text
    assert "\nn_embd = 256\n" in text
    assert load(text).config == loaded.config


def test_the_stored_configuration_is_a_config_file(load):
    config = load(domain="poetry", flags={"lr": "1e-5"}).config
    assert load(json.dumps(to_dict(config)), name="config.json").config == config
