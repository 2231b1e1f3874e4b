"""What is swept over: candidates, and the dimensions in which they differ."""

from collections.abc import Iterable, Sequence

import attrs

from alpha_core.config import RunConfig, TrainConfig
from alpha_core.errors import UsageError
from alpha_core.knob import Knob, knob_texts, parse_knobs
from alpha_core.suggest import did_you_mean

__all__ = ["Candidate", "Dimension", "dimensions_of"]

BATCH = "batch"


@attrs.frozen(kw_only=True)
class Candidate:
    """One way to run the same model."""

    batch_size: int
    accum_steps: int
    knobs: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, train: TrainConfig, knobs: Sequence[Knob]) -> "Candidate":
        """Returns what the configuration says, and for other knobs their values now."""
        values = {knob.name: knob.value for knob in knobs} | parse_knobs(train.knobs)
        return cls(batch_size=train.batch_size, accum_steps=train.accum_steps, knobs=tuple(values.items()))

    def configured(self, config: RunConfig) -> RunConfig:
        """Returns the configuration with this candidate's settings."""
        train = attrs.evolve(
            config.train, batch_size=self.batch_size, accum_steps=self.accum_steps, knobs=knob_texts(self.knobs)
        )
        return attrs.evolve(config, train=train)

    def with_value(self, dimension: str, value: tuple[int, ...]) -> "Candidate":
        """Returns the candidate with another value in one dimension."""
        if dimension == BATCH:
            return attrs.evolve(self, batch_size=value[0], accum_steps=value[1])
        return attrs.evolve(self, knobs=tuple({**dict(self.knobs), dimension: value[0]}.items()))

    def __str__(self) -> str:
        knobs = "".join(f", {name} {value}" for name, value in self.knobs)
        return f"batch {self.batch_size} x {self.accum_steps}{knobs}"


@attrs.frozen(kw_only=True)
class Dimension:
    """One thing that can be varied: a knob, or `batch`, whose values are pairs of batch size and accumulation."""

    name: str
    values: tuple[tuple[int, ...], ...]


def dimensions_of(
    train: TrainConfig,
    knobs: Sequence[Knob],
    *,
    only: Iterable[str] = (),
    keep_results: bool = False,
    free_batch: bool = False,
) -> list[Dimension]:
    """Returns what can be varied, knobs first.

    Batches keep the sequences of a step, so that training stays the same, unless `free_batch` asks for a quarter to
    four times as many. `keep_results` leaves out the knobs that change results. Raises `UsageError` for names in `only`
    that are no dimension.
    """
    found = [
        Dimension(name=knob.name, values=tuple((choice,) for choice in knob.choices))
        for knob in knobs
        if len(knob.choices) > 1 and not (keep_results and knob.changes_results)
    ]
    batches = _free_batches(train) if free_batch else _equal_batches(train)
    if len(batches) > 1:
        found.append(Dimension(name=BATCH, values=batches))
    names = [dimension.name for dimension in found]
    wanted = list(only)
    for name in wanted:
        if name not in names:
            there = ", ".join(f"`{known}`" for known in names) or "nothing"
            raise UsageError(f"`{name}` cannot be varied here; there is {there}", hint=did_you_mean(name, names))
    return [dimension for dimension in found if not wanted or dimension.name in wanted]


def _equal_batches(train: TrainConfig) -> tuple[tuple[int, ...], ...]:
    """Pairs whose product is the configuration's: halving the one doubles the other."""
    sequences = train.batch_size * train.accum_steps
    pairs = []
    accum = 1
    while sequences % accum == 0:
        pairs.append((sequences // accum, accum))
        accum *= 2
    mine = (train.batch_size, train.accum_steps)
    return tuple(pairs if mine in pairs else [*pairs, mine])


def _free_batches(train: TrainConfig) -> tuple[tuple[int, ...], ...]:
    sizes = {max(1, train.batch_size * factor // 4) for factor in (1, 2, 4, 8, 16)}
    return tuple((size, train.accum_steps) for size in sorted(sizes))
