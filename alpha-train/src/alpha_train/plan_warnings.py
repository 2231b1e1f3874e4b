"""What speaks against a plan: allowed, but probably not meant. One function for each warning."""

import os
from collections.abc import Callable

from alpha_train.plan import Plan
from alpha_train.units import bytes_text, count_text

__all__ = ["machine_memory", "plan_warnings"]

FEWEST_TOKENS_PER_PARAMETER = 5
MOST_TOKENS_PER_PARAMETER = 200
"""A quarter and ten times of what Hoffmann et al. 2022 find best: there the loss for the compute is clearly worse."""
MOST_PASSES = 4
"""Up to here repeated text is worth nearly as much as new text (Muennighoff et al. 2023, "Scaling data-constrained
language models")."""
FEWEST_TOKENS_PER_VOCABULARY_ENTRY = 100
"""So often an average token should occur, for its embedding to be learned."""
LONGEST_WARMUP = 0.5
"""Share of the steps."""


def plan_warnings(plan: Plan, *, machine_bytes: int | None = None) -> list[str]:
    """Returns the warnings about a plan, a sentence each. `machine_bytes` is the memory that there is, if known."""
    found = [warning(plan) for warning in _WARNINGS]
    found.append(_memory(plan, machine_bytes))
    return [text for text in found if text is not None]


def machine_memory() -> int | None:
    """Returns the bytes of this machine's memory, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no `sysconf`
        return None


def _too_few_tokens(plan: Plan) -> str | None:
    ratio = plan.tokens_per_parameter
    if ratio >= FEWEST_TOKENS_PER_PARAMETER:
        return None
    return (
        f"{ratio:.2g} tokens per parameter (about 20 is best): a smaller model trained longer on the same compute would"
        " reach a lower loss"
    )


def _too_many_tokens(plan: Plan) -> str | None:
    ratio = plan.tokens_per_parameter
    if ratio <= MOST_TOKENS_PER_PARAMETER:
        return None
    return (
        f"{ratio:.0f} tokens per parameter (about 20 is best): unless the model must be small, a larger one would reach"
        " a lower loss on the same compute"
    )


def _long_warmup(plan: Plan) -> str | None:
    train = plan.config.train
    warmup = train.resolved_warmup
    if warmup >= train.iters:  # `load_config` has a note about it
        return None
    if warmup <= LONGEST_WARMUP * train.iters:
        return None
    return f"the learning rate rises for {warmup} of {train.iters} steps; `warmup` is usually a few percent"


def _many_passes(plan: Plan) -> str | None:
    if plan.passes is None or plan.passes <= MOST_PASSES:
        return None
    return (
        f"the run goes through its text {plan.passes:.1f} times; beyond {MOST_PASSES} passes repeated text teaches less"
        " and less, and the model begins to learn it by heart"
    )


def _short_documents(plan: Plan) -> str | None:
    text, block_size = plan.text, plan.config.model.block_size
    if text is None or text.documents is None or text.documents < 2 or not text.tokens:
        return None
    length = text.tokens / text.documents
    if block_size <= length:
        return None
    return (
        f"documents are {length:.0f} tokens long on average, `block_size` is {block_size}: most windows hold several"
        " documents, and attention between them is wasted"
    )


def _large_vocabulary(plan: Plan) -> str | None:
    vocab_size = plan.config.model.vocab_size
    if plan.text is None or plan.text.tokens >= FEWEST_TOKENS_PER_VOCABULARY_ENTRY * vocab_size:
        return None
    return (
        f"a vocabulary of {vocab_size} is large for {count_text(plan.text.tokens)} tokens of text: a token occurs"
        f" {plan.text.tokens / vocab_size:.0f} times on average; a smaller one would be learned better"
    )


def _memory(plan: Plan, machine_bytes: int | None) -> str | None:
    planned = plan.planned
    elsewhere = planned is not None and not planned.on_host
    available = planned.available if planned is not None and elsewhere else machine_bytes
    if available is None or plan.peak_bytes <= available:
        return None
    has = "the device has" if elsewhere else "this machine has"
    return (
        f"training needs about {bytes_text(plan.peak_bytes)}, and {has} {bytes_text(available)}: lower"
        " `batch_size` (and raise `accum_steps`), or set `activation_checkpointing`"
    )


_WARNINGS: tuple[Callable[[Plan], str | None], ...] = (
    _too_few_tokens,
    _too_many_tokens,
    _long_warmup,
    _many_passes,
    _short_documents,
    _large_vocabulary,
)
