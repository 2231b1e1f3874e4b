"""Parameters and floating-point operations of a plan, against figures that others published."""

import pytest

from alpha_core.config import ModelConfig, RunConfig, TrainConfig
from alpha_model.activation import Activation
from alpha_train.flops import flops_per_token
from alpha_train.optimizers.adamw import AdamW
from alpha_train.plan import Plan, TextFigures, plan

GPT2 = ModelConfig(vocab_size=50257, block_size=1024, n_layer=12, n_head=12, n_embd=768, tie_embeddings=True, bias=True)


def make_plan(model: ModelConfig = GPT2, text: TextFigures | None = None, **train: object) -> Plan:
    config = RunConfig(model=model, train=TrainConfig(**train))  # type: ignore[arg-type]
    return plan(config, Activation.builtin(model.activation), AdamW(config.train), text=text)


def test_gpt2_has_the_parameters_that_it_is_known_for():
    found = make_plan()
    assert found.parameter_count == 124_439_808  # `GPT2LMHeadModel.from_pretrained("gpt2")`
    assert found.parameters == {
        "embedding": 50257 * 768 + 1024 * 768,
        "matrix": 12 * 12 * 768**2,
        "vector": 12 * ((3 + 1 + 4 + 1) * 768 + 4 * 768) + 2 * 768,
    }


def test_gpt2_weights_gradients_and_optimizer_state_are_four_bytes_a_number():
    memory = make_plan().memory
    assert memory.weights == memory.gradients == 4 * 124_439_808
    assert memory.optimizer == 2 * memory.weights
    assert memory.checkpoint == 12 * 124_439_808


def test_flops_of_gpt2_are_those_of_the_sizing_notebook_of_nanogpt():
    """`transformer_sizing.ipynb`: forward 291,648,307,200 and backward 583,296,614,400 for a window of 1024."""
    found = make_plan(batch_size=1, iters=1)
    assert 1024 * found.flops.forward == 291_648_307_200
    assert found.to_json()["flops"]["perRun"] == 291_648_307_200 + 583_296_614_400


def test_training_flops_are_the_formula_of_palm():
    """6 N + 12 L H Q T for each token (Chowdhery et al. 2022, appendix B), N being the weights that are multiplied."""
    flops = make_plan().flops
    multiplied = 12 * 12 * 768**2 + 50257 * 768
    assert flops.training == 6 * multiplied + 12 * 12 * 12 * 64 * 1024


def test_precision_doubles_memory_but_not_the_checkpoint():
    single, double = make_plan().memory, make_plan(precision="f64").memory
    assert double.weights == 2 * single.weights
    assert double.activations == 2 * single.activations
    assert double.checkpoint == single.checkpoint


def test_accumulation_costs_tokens_and_no_activations():
    once, four_times = make_plan(batch_size=8), make_plan(batch_size=8, accum_steps=4)
    assert four_times.tokens_per_step == 4 * once.tokens_per_step == 4 * 8 * 1024
    assert four_times.memory == once.memory


def test_tokens_passes_and_time_follow_from_the_settings():
    text = TextFigures(tokens=1_000_000)
    found = make_plan(text=text, batch_size=2, accum_steps=3, iters=500)
    assert found.tokens == 2 * 3 * 1024 * 500
    assert found.passes == pytest.approx(3.072)
    assert found.tokens_per_parameter == pytest.approx(3_072_000 / 124_439_808)
    assert found.seconds is None
    assert make_plan(text=None).passes is None


@pytest.mark.parametrize("gated", ["swiglu", "gelu"])
def test_a_tied_head_is_multiplied_all_the_same(gated: str):
    from alpha_model.parameters import parameter_specs

    tied = ModelConfig(tie_embeddings=True, activation=gated)
    untied = ModelConfig(tie_embeddings=False, activation=gated)
    activation = Activation.builtin(gated)
    assert flops_per_token(tied, parameter_specs(tied, activation)) == flops_per_token(
        untied, parameter_specs(untied, activation)
    )
