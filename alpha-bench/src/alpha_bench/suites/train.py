"""The suite `train`: whole training steps of the models, in f32 and bf16, and with every option that costs time."""

import math
from collections.abc import Iterator
from itertools import cycle

import attrs

from alpha_bench.batches import made_steps
from alpha_bench.case import Case, Suite, Work
from alpha_bench.result import OK, Result
from alpha_bench.session import Session
from alpha_bench.suites.models import MODELS, QUICK_MODELS, BenchModel
from alpha_core.config import TrainConfig
from alpha_core.errors import AlphaError
from alpha_train.data import Batch
from alpha_train.flops import flops_per_token
from alpha_train.trainer import Trainer

__all__ = ["SUITE"]

_LEARNING_RATE = 1e-3
_BATCHES = 4


def cases(session: Session) -> list[Case]:
    models = QUICK_MODELS if session.quick else MODELS
    plain = [_case(model, precision) for model in models.values() for precision in session.precisions]
    small = [model for name, model in models.items() if name != "gpt2-124m"]
    return plain + [_case(model.variant(), precision) for model in small for precision in session.precisions]


def _case(model: BenchModel, precision: str) -> Case:
    def prepare(session: Session) -> Work:
        session.multiply_in(precision)
        config = TrainConfig(
            batch_size=model.batch_size,
            accum_steps=model.accum_steps,
            precision=precision,
            knobs=session.knobs,
            lr=_LEARNING_RATE,
        )
        optimizer = session.plugins.optimizers.get(config.optimizer).load()(config)
        gpt = model.gpt()
        trainer = Trainer(gpt, session.backend, config, optimizer)
        steps: Iterator[list[Batch]] = cycle(made_steps(model.config, config, _BATCHES))
        losses: list[float] = []

        def run(times: int) -> None:
            for _ in range(times):
                for batch in next(steps):
                    trainer.accumulate(batch)
                losses.append(trainer.update(_LEARNING_RATE).loss)  # reads the loss, so waits for the device

        def extra() -> dict[str, float]:
            if not all(map(math.isfinite, losses)):
                raise AlphaError(f"the loss is not finite after {len(losses)} steps")
            return {"first_loss": losses[0], "last_loss": losses[-1], "steps": len(losses)}

        flops = flops_per_token(model.config, gpt.parameter_specs).training * model.tokens
        return Work(run=run, work={"tokens": model.tokens}, flops=float(flops), extra=extra)

    return Case(
        suite="train",
        id=f"{model.name}-{precision}",
        parameters={**model.parameters, "optimizer": "adamw", "precision": precision},
        prepare=prepare,
        alone=True,
    )


def _with_ratios(results: list[Result]) -> list[Result]:
    """Adds to each variant its time per FLOP as a multiple of the plain model's."""
    plain = {result.id: result for result in results if result.status == OK}
    finished = []
    for result in results:
        other = plain.get(result.id.replace("-variant", ""))
        if result.id in plain and other is not None and other is not result:
            ratio = _seconds_per_flop(result) / _seconds_per_flop(other)
            result = attrs.evolve(result, extra={**result.extra, "time_per_flop_against_plain": ratio})
        finished.append(result)
    return finished


def _seconds_per_flop(result: Result) -> float:
    assert result.median is not None
    assert result.flops is not None
    return result.median / result.flops


SUITE = Suite(
    name="train", summary="training steps of the models, plain and with every option", cases=cases, finish=_with_ratios
)
