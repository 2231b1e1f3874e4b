"""A plan as a table of two columns."""

from collections.abc import Iterator

from alpha_train.plan import Plan
from alpha_train.units import bytes_text, count_text, duration_text, flops_text

__all__ = ["plan_lines"]

_WIDTH = 26


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yields the lines of the table."""
    for title, rows in _sections(plan):
        yield title
        for label, value in rows:
            yield f"  {label:<{_WIDTH}}{value}"


def _sections(plan: Plan) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    config, memory, flops = plan.config, plan.memory, plan.flops
    model = config.model
    yield (
        f"model: {model.n_layer} layers, width {model.n_embd}, {model.n_head} heads, block {model.block_size},"
        f" vocabulary {model.vocab_size}",
        [
            ("parameters", f"{plan.parameter_count:,}"),
            ("in embeddings and head", f"{plan.parameters['embedding']:,}"),
            ("in weight matrices", f"{plan.parameters['matrix']:,}"),
            ("in norms, biases and such", f"{plan.parameters['vector']:,}"),
        ],
    )
    yield (
        f"memory in {config.train.precision}",
        [
            ("weights", bytes_text(memory.weights)),
            ("gradients", bytes_text(memory.gradients)),
            (f"optimizer ({config.train.optimizer})", bytes_text(memory.optimizer)),
            ("activations", bytes_text(memory.activations)),
            ("working memory", bytes_text(memory.working)),
            ("at most", bytes_text(memory.peak)),
            ("checkpoint file", bytes_text(memory.checkpoint)),
        ],
    )
    yield (
        "work (floating-point operations of matrix products)",
        [
            ("forward, per token", flops_text(flops.forward)),
            ("training, per token", flops_text(flops.training)),
            ("per step", flops_text(flops.training * plan.tokens_per_step)),
            ("per run", flops_text(flops.training * plan.tokens)),
        ],
    )
    yield "data", list(_data(plan))
    if plan.seconds is not None:
        speed = f"{count_text(plan.tokens_per_second or 0)} tokens/s"
        yield "time", [(f"at {speed}", f"{duration_text(plan.seconds)}, without evaluations and samples")]


def _data(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "tokens per step", f"{plan.tokens_per_step:,}"
    yield "tokens in the run", f"{plan.tokens:,} in {plan.config.train.iters:,} steps"
    yield "tokens per parameter", f"{plan.tokens_per_parameter:.3g} (about 20 is best for the compute)"
    if plan.text is None:
        yield "training text", "not read"
        return
    several = plan.text.documents is not None and plan.text.documents > 1
    documents = f" in {plan.text.documents:,} documents" if several else ""
    yield "training text", f"{plan.text.tokens:,} tokens{documents}"
    if plan.passes is not None:
        yield "passes through it", f"{plan.passes:.2f}"
