"""How a model is trained."""

from typing import ClassVar

import attrs

from alpha_core.config.section import Constraint, Section
from alpha_core.config.setting import setting
from alpha_core.errors import UsageError
from alpha_core.knob import parse_knobs
from alpha_core.run_id import tag_problem

__all__ = ["DEFAULT_RUNS_DIR", "TrainConfig"]

DEFAULT_RUNS_DIR = "runs"


def _knobs_problem(texts: tuple[str, ...]) -> str | None:
    try:
        parse_knobs(texts)
    except UsageError as error:
        return f"`name=number`, separated by commas: {error.message}"
    return None


@attrs.frozen(kw_only=True)
class TrainConfig(Section):
    """Data, batch, optimizer, schedule, evaluation and files of a training run."""

    section: ClassVar[str] = "train"
    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(("lr_min", "lr"), lambda lr_min, lr: lr_min <= lr, "{lr_min} must not be above {lr}"),
        Constraint(
            ("fp16", "precision"),
            lambda fp16, precision: not fp16 or precision in ("f32", "f16"),
            "{fp16} contradicts {precision}",
        ),
    )

    data: str = setting(
        "python",
        "Text to train on: a file (text, .jsonl, .parquet, or .bin token shards), a folder, a glob, - for standard"
        " input, or python (its standard library).",
    )
    text_key: str = setting("text", "Key or column that holds the text of .jsonl and .parquet files.")
    tokenizer: str = setting("bpe", "Tokenizer: a registered name, such as char or bpe-4k, or a tokenizer.json.")
    backend: str = setting("auto", "Backend that computes; auto takes the best one available.")
    knobs: tuple[str, ...] = setting(
        (),
        "What the backend is tuned with, such as lanes=2,chunk=256. A run keeps all that change results by rounding.",
        check=_knobs_problem,
    )
    iters: int = setting(1000, "Number of optimizer steps.", minimum=1)
    batch_size: int = setting(64, "Sequences in one batch.", aliases=("batch",), minimum=1)
    accum_steps: int = setting(1, "Batches whose gradients are added up for one step.", minimum=1)
    lr: float = setting(3e-4, "Highest learning rate.", above=0)
    lr_min: float = setting(0.0, "Learning rate at the end of the schedule; 0 means lr / 10.", minimum=0)
    warmup: int = setting(
        0, "Steps over which the learning rate rises to lr; 0 means min(2000, iters / 5), negative means none."
    )
    schedule: str = setting("cosine", "Learning-rate schedule: any registered one.")
    decay_fraction: float = setting(
        0.2,
        "Share of the steps over which the schedule wsd lowers the learning rate, at the end.",
        minimum=0,
        maximum=1,
    )
    optimizer: str = setting("adamw", "Optimizer: any registered one.", aliases=("optim",))
    beta1: float = setting(0.9, "Decay of the average of gradients.", minimum=0, below=1)
    beta2: float = setting(0.95, "Decay of the average of squared gradients.", minimum=0, below=1)
    momentum: float = setting(
        0.9, "Share of its direction that sgd or muon keeps from step to step.", minimum=0, below=1
    )
    nesterov: bool = setting(False, "Whether sgd or muon looks one step ahead along its momentum.")
    eps: float = setting(1e-8, "Added to the denominator of the update.", above=0)
    weight_decay: float = setting(0.1, "Decoupled weight decay of two-dimensional matrices.", minimum=0)
    grad_clip: float = setting(1.0, "Scale gradients down to this global norm; 0 is off.", minimum=0)
    spike_threshold: float = setting(
        0.0,
        "Skip a step whose gradient norm is above this and halve the learning rate for 200 good steps; 0 is off.",
        minimum=0,
    )
    emb_grad_scale: float = setting(
        1.0, "Multiplies the gradients of embeddings (token, position, head) before norm and clipping.", minimum=0
    )
    eval_interval: int = setting(100, "Steps between evaluations; 0 evaluates only at the end.", minimum=0)
    eval_iters: int = setting(10, "Batches of one evaluation; 0 takes the whole validation split.", minimum=0)
    early_stop: int = setting(
        0, "Stop after this many evaluations in a row without a better validation loss; 0 is off.", minimum=0
    )
    seed: int = setting(42, "Seed of weights, batches and dropout.", minimum=0, maximum=2**63 - 1)
    sample_interval: int = setting(100, "Steps between samples; 0 writes none.", minimum=0)
    checkpoint_interval: int = setting(0, "Steps between checkpoints; 0 means eval_interval.", minimum=0)
    keep: int = setting(3, "Newest checkpoints that are kept, beside the best one.", minimum=1)
    packed: bool = setting(False, "Take every window of the text once in each pass, shuffled, instead of random ones.")
    validation_fraction: float = setting(0.1, "Share of the text that is held out.", minimum=0, below=1)
    precision: str = setting(
        "f32",
        "Floating-point type of computation. bf16 and f16 round the operands of matrix products, and on GPUs"
        " activations too; sums, weights and optimizer stay in f32. f16 scales the loss.",
        choices=("f32", "bf16", "f16", "f64"),
    )
    fp16: bool = setting(False, "The same as precision=f16.")
    activation_checkpointing: bool = setting(
        False, "Recompute each block in the backward pass: less memory, more time."
    )
    sinks: tuple[str, ...] = setting(("console", "jsonl"), "Where metrics go: registered sinks, separated by commas.")
    tag: str = setting("", "Text in front of the run id.", empty=True, check=tag_problem)
    runs_dir: str = setting(DEFAULT_RUNS_DIR, "Folder that holds the run folders.")

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.fp16:
            object.__setattr__(self, "precision", "f16")

    @property
    def resolved_lr_min(self) -> float:
        """The learning rate at the end: `lr_min`, or if that is 0 a tenth of `lr`."""
        return self.lr_min or self.lr / 10

    @property
    def resolved_warmup(self) -> int:
        """The number of warm-up steps, 0 for none: `warmup`, or if that is 0 `min(2000, iters // 5)`."""
        return max(self.warmup, 0) if self.warmup else min(2000, self.iters // 5)

    @property
    def resolved_checkpoint_interval(self) -> int:
        """Steps between checkpoints; 0 when there is one at the end only."""
        return self.checkpoint_interval or self.eval_interval
