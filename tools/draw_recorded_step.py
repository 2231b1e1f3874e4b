"""Draws a recorded step of training as the backend `helios` runs it: its kernels, its barriers, its memory.

Run it with the Python of the development environment: `.venv/bin/python tools/draw_recorded_step.py`. It needs no GPU,
and writes `docs/images/recorded-step.svg`.
"""

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import attrs
import numpy as np

from alpha_core.config import ModelConfig, TrainConfig
from alpha_core.recording.storage import buffer_of
from alpha_helios.planner import planner
from alpha_helios.program import HeliosProgram
from alpha_helios.vulkan import commands
from alpha_model import GPT
from alpha_train.optimizers.adamw import AdamW
from alpha_train.trainer import Trainer

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "recorded-step.svg"
MODEL = ModelConfig(vocab_size=512, block_size=64, n_layer=2, n_embd=128, n_head=4)
BATCH = 8

WIDTH, HEIGHT = 880, 585
LEFT, RIGHT = 30, 850
KERNELS = 250
"""Where the row of kernels begins, downwards."""
ARENA, ARENA_HEIGHT = 345, 210

FAMILIES = {
    "matrix product": ("#3f51b5", ("gemm", "gemv", "add_parts")),
    "attention": ("#00897b", ("attention",)),
    "norm": ("#c77700", ("norm", "sum_blocks")),
    "loss": ("#ad1457", ("cross_entropy",)),
    "other": ("#78909c", ("",)),
}
STEPS = (
    ("your step", "ops of Backend"),
    ("launches", "reads and writes"),
    ("fusion", "fewer kernels"),
    ("memory plan", "places in an arena"),
    ("barriers", "where they meet"),
    ("command list", "recorded once"),
)


@attrs.frozen
class Life:
    """An intermediate: from its first launch to its last one, and its place in the arena."""

    first: int
    last: int
    offset: int
    nbytes: int


def recorded() -> tuple[list[str], set[int], list[Life], int]:
    """Returns the names of the kernels, which of them wait at a barrier, the intermediates, and bytes of the arena."""
    train = TrainConfig(batch_size=BATCH)
    trainer = Trainer(GPT(MODEL), planner(None), train, AdamW(train), initialize=False)
    program = trainer.record(BATCH)["accumulate"]
    assert isinstance(program, HeliosProgram)
    waiting, count = set[int](), 0
    barrier, dispatch = commands.CommandList.barrier, commands.CommandList.dispatch

    def noted_barrier(self: Any) -> None:
        waiting.add(count)
        barrier(self)

    def noted_dispatch(self: Any, *arguments: Any) -> None:
        nonlocal count
        count += 1
        dispatch(self, *arguments)

    trainer.backend.queue.flush()  # type: ignore[attr-defined]
    commands.CommandList.barrier = noted_barrier  # type: ignore[method-assign]
    commands.CommandList.dispatch = noted_dispatch  # type: ignore[method-assign,assignment]
    tokens = np.zeros((BATCH, MODEL.block_size), np.int32)
    program(tokens, tokens, np.arange(BATCH, dtype=np.int32))
    lives: dict[int, Life] = {}
    for index, launch in enumerate(program._launches):
        for buffer in map(buffer_of, launch.tensors):
            offset = program._plan.offsets.get(id(buffer))
            if offset is not None:
                known = lives.get(id(buffer), Life(index, index, offset, buffer.nbytes))
                lives[id(buffer)] = attrs.evolve(known, last=index)
    return [launch.spec.name for launch in program._launches], waiting, list(lives.values()), program._plan.nbytes


def color_of(name: str) -> str:
    """Returns the color of a kernel's family."""
    return next(color for color, starts in FAMILIES.values() if name.startswith(starts))


def box(x: float, y: float, width: float, height: float, title: str, text: str) -> str:
    """A box with a name and a line about it."""
    middle = x + width / 2
    return (
        f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5"/>'
        f'<text class="name" x="{middle:g}" y="{y + 22:g}" text-anchor="middle">{escape(title)}</text>'
        f'<text class="what" x="{middle:g}" y="{y + 39:g}" text-anchor="middle">{escape(text)}</text>'
    )


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path class="arrow" d="M{x:g} {y:g} L{to_x:g} {to_y:g}"/>'


def preparation() -> list[str]:
    """The upper part: what happens once, and at every step."""
    lines = ['<text class="title" x="30" y="28">Once</text>']
    each, gap = 122, 17.6
    for index, (title, text) in enumerate(STEPS):
        x = LEFT + index * (each + gap)
        lines.append(box(x, 40, each, 52, title, text))
        if index:
            lines.append(arrow(x - gap + 2, 66, x - 2, 66))
    lines.append('<text class="title" x="30" y="126">At every step</text>')
    host = (
        ("batch", "into the staging ring"),
        ("submit", "one call, no Python between kernels"),
        ("loss", "read when it is there"),
    )
    for (title, text), x, width in zip(host, (30, 250, 640), (180, 270, 210), strict=True):
        lines.append(box(x, 138, width, 48, title, text))
    lines += [arrow(212, 162, 248, 162), arrow(385, 188, 385, KERNELS - 22), arrow(745, KERNELS - 22, 745, 188)]
    return lines


def drawing() -> str:
    """Returns the picture."""
    names, waiting, lives, nbytes = recorded()
    step = (RIGHT - LEFT) / len(names)
    lines = preparation()
    lines.append(
        f'<text class="what" x="{LEFT}" y="{KERNELS - 8}">the command list of `accumulate`: {len(names)} kernels, '
        f"{len(waiting)} barriers (gaps); forward, loss, backward</text>"
    )
    for index, name in enumerate(names):
        x, gap = LEFT + index * step, step * 0.28 if index in waiting else 0.0
        lines.append(
            f'<rect x="{x + gap:.2f}" y="{KERNELS}" width="{step - gap - 0.3:.2f}" height="34" fill="{color_of(name)}">'
            f"<title>{escape(name)}</title></rect>"
        )
    x = float(LEFT)
    for family, (color, _) in FAMILIES.items():
        lines.append(f'<rect x="{x:g}" y="{KERNELS + 46}" width="12" height="12" fill="{color}"/>')
        lines.append(f'<text class="what" x="{x + 17:g}" y="{KERNELS + 57}">{family}</text>')
        x += 40 + 7 * len(family)
    scale = ARENA_HEIGHT / nbytes
    alone = sum(life.nbytes for life in lives)
    lines.append(
        f'<text class="what" x="{LEFT}" y="{ARENA - 12}">the arena: each intermediate from its first kernel to '
        f"its last; {nbytes / 2**20:.1f} MiB instead of {alone / 2**20:.1f}</text>"
    )
    lines.append(f'<rect class="arena" x="{LEFT}" y="{ARENA}" width="{RIGHT - LEFT}" height="{ARENA_HEIGHT}"/>')
    for life in lives:
        lines.append(
            f'<rect class="life" x="{LEFT + life.first * step:.2f}" y="{ARENA + life.offset * scale:.2f}" '
            f'width="{(life.last - life.first + 1) * step:.2f}" height="{max(life.nbytes * scale, 0.3):.2f}"/>'
        )
    lines.append(f'<text class="what" x="{LEFT}" y="{ARENA + ARENA_HEIGHT + 18}">first kernel</text>')
    lines.append(f'<text class="what" x="{RIGHT}" y="{ARENA + ARENA_HEIGHT + 18}" text-anchor="end">last kernel</text>')
    body = "\n  ".join(lines)
    label = "A recorded step: kernels, barriers, and the arena that they share"
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"
  font-size="13" role="img" aria-label="{label}">
  <style>
    .box {{ fill: #f4f5fb; stroke: #3f51b5; stroke-width: 1.5; }}
    .title {{ font-weight: bold; font-size: 15px; fill: #1a237e; }}
    .name {{ font-weight: bold; fill: #1a237e; }}
    .what {{ font-size: 11px; fill: #37474f; }}
    .arena {{ fill: #f4f5fb; stroke: #90a4ae; }}
    .life {{ fill: #9fa8da; stroke: #3f51b5; stroke-width: 0.5; }}
    .arrow {{ stroke: #546e7a; stroke-width: 1.5; fill: none; marker-end: url(#head); }}
  </style>
  <defs>
    <marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
      <path d="M0 0 L10 5 L0 10 z" fill="#546e7a"/>
    </marker>
  </defs>
  <rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
  {body}
</svg>
"""


if __name__ == "__main__":
    PICTURE.write_text(drawing(), encoding="utf-8")
