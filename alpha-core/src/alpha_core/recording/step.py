"""A step that is being recorded: its launches in order, and what can be said about them before any memory exists."""

from collections import Counter
from collections.abc import Sequence

import attrs

from alpha_core.dtype import DType
from alpha_core.recording.aliases import Aliases
from alpha_core.recording.launch import Following, Launch
from alpha_core.recording.storage import Buffer, buffer_of, is_contiguous, view_of
from alpha_core.tensor import Tensor

__all__ = ["Recording", "Step"]

_SHORTLY = 12  # launches: two products of one tensor, with their packs


class Recording:
    """What `Engine.launch` notes down instead of running."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.aliases = Aliases()

    def add(self, launch: Launch) -> None:
        self.launches.append(launch)


@attrs.frozen(eq=False)
class Step:
    """A recorded step, made ready: what is constant over a call apart from the rest."""

    before: list[Launch]
    """Reads only captured tensors that the step does not change, such as the packing of weights."""
    body: list[Launch]
    outputs: tuple[Tensor, ...]

    @classmethod
    def of(cls, launches: Sequence[Launch], outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> "Step":
        """Fuses what can be fused, drops what nobody needs, and takes apart what is constant."""
        results = {id(buffer_of(tensor)) for tensor in outputs}
        kept = _needed(_fused(list(launches), results), outputs)
        fixed = results | {id(buffer_of(tensor)) for tensor in inputs}
        before, body = _constant_apart(kept, fixed)
        return cls(before, _each_once(body, fixed), tuple(outputs))

    @property
    def changed(self) -> list[Buffer]:
        """Memory outside the step that it changes."""
        found = {id(b): b for launch in self.body for b in map(buffer_of, launch.changed) if b.memory is not None}
        return list(found.values())

    @property
    def is_additive(self) -> bool:
        """Whether all that the step does to memory outside is to add to it in f32, without looking."""
        outside = {id(buffer) for buffer in self.changed}
        return not any(
            any(id(buffer_of(tensor)) in outside for tensor in (*launch.reads, *launch.writes))
            or any(
                id(buffer_of(tensor)) in outside and not (launch.accumulates and tensor.dtype is DType.f32)
                for tensor in launch.updates
            )
            for launch in self.body
        )


def _needed(launches: list[Launch], outputs: Sequence[Tensor]) -> list[Launch]:
    """Keeps launches that lead to an output or to memory that exists outside the step."""
    alive = {id(buffer_of(tensor)) for tensor in outputs}
    kept: list[Launch] = []
    for launch in reversed(launches):
        changed = [buffer_of(tensor) for tensor in launch.changed]
        if any(buffer.memory is not None or id(buffer) in alive for buffer in changed):
            alive.update(id(buffer_of(tensor)) for tensor in (*launch.updates, *launch.reads))
            kept.append(launch)
    return kept[::-1]


def _fused(launches: list[Launch], outputs: set[int]) -> list[Launch]:
    """Lets a launch do at once what is done to its result later: adding it to a sum, a bias, an activation.

    It then runs where the later launch stood. `Launch.into` and `Launch.extended` promise the roundings of both.
    """
    now: list[Launch | None] = list(launches)
    makers: dict[int, list[int]] = {}
    users: dict[int, list[int]] = {}
    for index, launch in enumerate(launches):
        for tensor in launch.changed:
            makers.setdefault(id(buffer_of(tensor)), []).append(index)
        for key in {id(buffer_of(tensor)) for tensor in (*launch.updates, *launch.reads)}:
            users.setdefault(key, []).append(index)

    def replaced(source: Tensor, index: int, what: Tensor | Following, *, alone: bool) -> bool:
        """Lets the maker of `source` add it to a tensor, or do what follows, at `index`; False if something speaks
        against it. `alone` requires that nobody else reads `source`."""
        key = id(buffer_of(source))
        made = makers.get(key, [])
        if len(made) != 1 or buffer_of(source).memory is not None or not is_contiguous(source):
            return False
        maker = now[made[0]]
        needed = users[key] != [index] or key in outputs if alone else users[key][0] < index
        if maker is None or needed or buffer_of(maker.writes[0]) is not buffer_of(source):
            return False
        if maker.writes[0].size != source.size or _disturbed(maker, now[made[0] + 1 : index]):
            return False
        make = maker.extended if isinstance(what, Following) else maker.into
        launch = None if make is None else make(what)  # type: ignore[arg-type]
        if launch is None:
            return False
        now[made[0]], now[index] = None, launch
        for tensor in launch.writes:
            makers[id(buffer_of(tensor))] = [index]
        return True

    for index, launch in enumerate(launches):
        if launch.adds is not None and is_contiguous(launch.adds[0]):
            total, source = launch.adds
            replaced(source, index, total, alone=True)
        for one in launch.follows:
            if one.addend is not None and buffer_of(one.addend) is buffer_of(one.source):
                continue
            if replaced(one.source, index, one, alone=one.expression is None):  # with one the source is still written
                break
    return [launch for launch in now if launch is not None]


def _disturbed(launch: Launch, between: Sequence[Launch | None]) -> bool:
    """Whether what a launch reads is changed by later ones, so that it cannot run after them."""
    needed = {id(buffer_of(tensor)) for tensor in launch.reads}
    return any(id(buffer_of(tensor)) in needed for one in between if one is not None for tensor in one.changed)


def _constant_apart(launches: list[Launch], fixed: set[int]) -> tuple[list[Launch], list[Launch]]:
    """Moves launches that read only constant memory to the front, and does each of them once.

    `fixed` are the buffers of inputs, which are not constant, and of outputs, which stay where they are.
    """
    writers = Counter(id(buffer_of(tensor)) for launch in launches for tensor in launch.changed)
    constant: set[int] = set()
    before: list[Launch] = []
    body: list[Launch] = []
    known: dict[object, Launch] = {}
    same: dict[int, Buffer] = {}

    def is_constant(tensor: Tensor) -> bool:
        buffer = buffer_of(tensor)
        outside = buffer.memory is not None and not writers[id(buffer)] and id(buffer) not in fixed
        return outside or id(buffer) in constant

    for recorded in launches:
        launch = _on_buffers(recorded, same)
        own = [buffer_of(tensor) for tensor in launch.writes]
        movable = not launch.updates and all(
            one.memory is None and writers[id(one)] == 1 and id(one) not in fixed for one in own
        )
        if not movable or not all(map(is_constant, launch.reads)):
            body.append(launch)
            continue
        constant.update(map(id, own))
        key = _key(launch)
        if key in known:
            same.update(zip(map(id, own), map(buffer_of, known[key].writes), strict=True))
        else:
            known[key] = launch
            before.append(launch)
    return before, body


def _each_once(launches: list[Launch], fixed: set[int]) -> list[Launch]:
    """Drops a launch that computes what one shortly before it did, such as the packing of a tensor for two products.

    Only shortly before: what is kept for longer costs memory, and recomputing it may be the purpose of a step.
    """
    writers = Counter(id(buffer_of(tensor)) for launch in launches for tensor in launch.changed)
    versions: Counter[int] = Counter()
    known: dict[object, tuple[int, Launch]] = {}
    same: dict[int, Buffer] = {}
    kept: list[Launch] = []
    for index, recorded in enumerate(launches):
        launch = _on_buffers(recorded, same)
        own = [buffer_of(tensor) for tensor in launch.writes]
        key = (_key(launch), tuple(versions[id(buffer_of(tensor))] for tensor in launch.reads))
        pure = not launch.updates and all(
            one.memory is None and writers[id(one)] == 1 and id(one) not in fixed for one in own
        )
        before, twin = known.get(key, (-_SHORTLY, launch))
        if pure and index - before < _SHORTLY:
            same.update(zip(map(id, own), map(buffer_of, twin.writes), strict=True))
            continue
        if pure:
            known[key] = (index, launch)
        versions.update(id(buffer_of(tensor)) for tensor in launch.changed)
        kept.append(launch)
    return kept


def _key(launch: Launch) -> object:
    return launch.spec, launch.values, tuple(map(_place, launch.reads)), tuple(map(_form, launch.writes))


def _place(tensor: Tensor) -> tuple[object, ...]:
    view = view_of(tensor)
    return id(view.buffer), view.offset, view.strides, view.stored, tensor.shape, tensor.dtype


def _form(tensor: Tensor) -> tuple[object, ...]:
    return _place(tensor)[1:]


def _on_buffers(launch: Launch, same: dict[int, Buffer]) -> Launch:
    """Reads from the buffer that holds the same contents."""
    if not any(id(buffer_of(tensor)) in same for tensor in launch.reads):
        return launch
    reads = []
    for tensor in launch.reads:
        view = view_of(tensor)
        buffer = same.get(id(view.buffer), view.buffer)
        reads.append(Tensor(tensor.shape, tensor.dtype, attrs.evolve(view, buffer=buffer)))
    return attrs.evolve(launch, reads=tuple(reads))
