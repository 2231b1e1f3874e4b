"""A plan as a table of two columns."""

from collections.abc import Iterator

from alpha_train.plan import Plan
from alpha_train.planned_memory import PlannedMemory
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
    standing = [
        ("weights", bytes_text(memory.weights)),
        ("gradients", bytes_text(memory.gradients)),
        (f"optimizer ({config.train.optimizer})", bytes_text(memory.optimizer)),
    ]
    at_most, checkpoint = ("at most", bytes_text(plan.peak_bytes)), ("checkpoint file", bytes_text(memory.checkpoint))
    planned = plan.planned
    if planned is not None and planned.on_host:
        yield (
            f"memory in {config.train.precision} on {planned.backend} (exact, but for the process)",
            [*standing, *_programs(planned), *_host(planned), at_most, checkpoint],
        )
    elif planned is not None:
        of = f" of {bytes_text(planned.available)}" if planned.available is not None else ""
        yield (
            f"device memory in {config.train.precision} on {planned.backend} (exact)",
            [*standing, *_programs(planned), ("at most", bytes_text(planned.peak) + of)],
        )
        yield "memory of the host", [*_host(planned), checkpoint]
    else:
        estimated = [
            ("activations", bytes_text(memory.activations)),
            ("working memory", bytes_text(memory.working)),
        ]
        yield (
            f"memory in {config.train.precision} (estimated for the reference backend, without the process)",
            [*standing, *estimated, at_most, checkpoint],
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


def _programs(planned: PlannedMemory) -> Iterator[tuple[str, str]]:
    for name, size in planned.programs.items():
        count = planned.dispatches.get(name)
        yield f"program `{name}`", bytes_text(size) + (f", {count:,} dispatches" if count is not None else "")


def _host(planned: PlannedMemory) -> Iterator[tuple[str, str]]:
    yield "checkpoint", f"{bytes_text(planned.checkpoint)}, while it is written"
    if planned.process is not None:
        yield "process", f"{bytes_text(planned.process)}, measured: interpreter, libraries, compiled code"


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
