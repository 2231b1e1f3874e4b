"""Running a recorded program: lists of kernel calls, worked off by a team of threads without a way back to Python.

A job has three phases. Every thread takes part in `before` (what is constant over a call, such as packed weights) and
`after` (adding up the lanes). Between them each lane works through its own chunks of the batch in order. With more
threads than lanes a lane is worked on by a team of several, which split every kernel among them; with fewer, a thread
takes several lanes, one after the other. Neither changes a result.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from alpha_tensor.cpu.llvm.function import Function
from alpha_tensor.cpu.llvm.types import i8, i32, i64, pointer
from alpha_tensor.cpu.llvm.value import Number, Pointer, Value

if TYPE_CHECKING:
    from alpha_tensor.cpu.kernel import Kernel

__all__ = ["CALL_SLOTS", "INPUT", "JOB", "LANE", "SPAN_SLOTS", "TEAM", "lane_sum", "post", "serve", "zero"]

# Layouts of the tables that Python fills, in slots of 8 bytes.
CALL_SLOTS = 2
"""A call: the address of the kernel, the address of its arguments."""
JOB = (
    *("before", "before_count", "before_spans", "after", "after_count", "after_spans"),
    *("lanes", "lane_count", "barrier", "threads", "helping"),
)
"""`helping` is 1 if threads that have nothing left to do shall help with a lane of another."""
LANE = ("calls", "call_count", "first_chunk", "chunks", "inputs", "input_count", "barrier", "help", "spans")
"""`spans` is 0, or where the times of the calls go; `help` the address of the words by which a lane is helped with."""
HELP = ("announced", "joined", "done")
"""Words of a lane that one thread works on.

`announced`: the call that it shares with others, as 1024 times its number in the lane, from 1, plus the number of
threads; or that there will be none. `joined`: how many have come to help. `done`: how many are through with that call.
"""
INPUT = ("lane_address", "address", "chunk_bytes", "stride")
"""An input's place in the lane and in the whole batch; `stride` is what lies between two chunks there, in bytes."""
TEAM = ("generation", "job", "threads", "pending", "stop", "mutex", "condition")
SPAN_SLOTS = 2
"""The start and the end of a call, in nanoseconds of the monotonic clock."""

_THREADS = 1024  # more than there can be
_OVER = -1

_SPINS = 4000  # some 100 microseconds: longer than Python takes between two programs of a step


def zero(k: "Kernel") -> None:
    """out = 0, byte by byte."""
    out, count = k.pointer(i8), k.integer()
    with k.share(count, 4096) as (start, stop):
        whole = start + (stop - start) // 64 * 64
        with k.range_(start, whole, 64) as i:
            out.store(i, k.splat(k.constant(i8, 0), 64))
        with k.range_(whole, stop) as i:
            out[i] = 0


def lane_sum(k: "Kernel") -> None:
    """total += first, then += what stands `stride` bytes further, and so on for `count` lanes: a fixed order."""
    total, first, size, count, stride = k.pointer(), k.pointer(), k.integer(), k.integer(), k.integer()
    lanes = k.target.lanes
    with k.share(size, 1024) as (start, stop):
        whole = start + (stop - start) // lanes * lanes
        for begin, end, width in ((start, whole, lanes), (whole, stop, 0)):
            with k.range_(begin, end, width or 1) as i:
                value = k.variable(total.load(i, width))
                with k.range_(0, count) as lane:
                    value.value = value.value + first.at(lane * stride).load(i, width)
                total.store(i, value.value)


def post(k: "Kernel") -> None:
    """Hands a job to the waiting threads, works on it as thread 0 and waits for the others. Arguments: team, job."""
    team, job = _Table(k.pointer(i64), TEAM), _Table(k.pointer(i64), JOB)
    with k.if_(job["threads"] > 1):
        mutex = k.to_pointer(team["mutex"])
        k.call_c("pthread_mutex_lock", i32, mutex)
        team["job"] = k.emit(i64, f"ptrtoint {job.base.address} to i64")
        team["threads"] = job["threads"]
        k.atomic_store(team.at("pending"), job["threads"] - 1)
        k.atomic_add(team.at("generation"), 1)
        k.call_c("pthread_cond_broadcast", i32, k.to_pointer(team["condition"]))
        k.call_c("pthread_mutex_unlock", i32, mutex)
    k.call(_work(k), job.base.address, 0)
    with k.if_(job["threads"] > 1):
        _await(k, lambda: k.atomic_load(team.at("pending")) == 0)


def serve(k: "Kernel") -> None:
    """What a waiting thread runs until `stop` is set. Arguments: team, the thread's number, the generation it knows."""
    team, me, known = _Table(k.pointer(i64), TEAM), k.integer(), k.integer()
    work = _work(k)
    seen = k.variable(known)
    mutex, condition = k.to_pointer(team["mutex"]), k.to_pointer(team["condition"])
    with k.while_(lambda: k.atomic_load(team.at("stop")) == 0):
        spins = k.variable(0, i64)
        with k.while_(lambda: (k.atomic_load(team.at("generation")) == seen.value) & (spins.value < _SPINS)):
            k.pause()
            spins.value = spins.value + 1
        k.call_c("pthread_mutex_lock", i32, mutex)
        with k.while_(lambda: k.atomic_load(team.at("generation")) == seen.value):
            k.call_c("pthread_cond_wait", i32, condition, mutex)
        seen.value = k.atomic_load(team.at("generation"))
        job, threads = team["job"], team["threads"]  # read under the lock: the next job may be posted right after it
        k.call_c("pthread_mutex_unlock", i32, mutex)
        with k.if_((k.atomic_load(team.at("stop")) == 0) & (me < threads)):
            k.call(work, k.to_pointer(job), me)
            k.atomic_add(team.at("pending"), -1)


class _Table:
    """A table of named 8-byte slots."""

    def __init__(self, base: Pointer, names: tuple[str, ...]) -> None:
        self.base, self._names = base, names

    def at(self, name: str) -> Pointer:
        return self.base + self._names.index(name)

    def __getitem__(self, name: str) -> Value:
        return self.base[self._names.index(name)]

    def __setitem__(self, name: str, value: Number) -> None:
        self.base[self._names.index(name)] = value


def _work(k: "Kernel") -> Function:
    """Builds `work(job, me)`: one thread's part of a job."""
    walk, lead, helped = _walk(k), _lead(k), _help(k)
    f = k.module.function("work", None, [pointer, i64])
    job, me = _Table(Pointer(f.parameters[0], i64), JOB), f.parameters[1]
    threads, lanes = job["threads"], job["lane_count"]
    barrier, nothing = job["barrier"], f.constant(i64, 0)
    times = f.select(me == 0, job["before_spans"], nothing)
    f.call(walk, job["before"], job["before_count"], me, threads, barrier, times)
    with f.if_else(threads > lanes) as branch:
        with branch.then:  # thread t belongs to lane t % L
            _in_team(f, walk, job, me)
        with branch.otherwise:  # lane l belongs to thread l % T
            with f.range_(me, lanes, threads) as index:
                f.call(lead, _lane(f, job, index).address)
            with f.if_(job["helping"] != 0), f.range_(1, lanes) as distance:
                f.call(helped, _lane(f, job, (me + distance) % lanes).address)
    _barrier(f, barrier, threads)
    with f.range_(me, lanes, threads) as index:  # nobody helps any more
        words = _Table(Pointer(f.to_pointer(_Table(_lane(f, job, index), LANE)["help"]), i64), HELP)
        for word in HELP:
            f.atomic_store(words.at(word), 0)
    times = f.select(me == 0, job["after_spans"], nothing)
    f.call(walk, job["after"], job["after_count"], me, threads, barrier, times)
    f.return_()
    return f


def _lane(f: Function, job: _Table, index: Value) -> Pointer:
    return Pointer(f.to_pointer(job["lanes"]), i64) + index * len(LANE)


def _in_team(f: Function, walk: Function, job: _Table, me: Value) -> None:
    """Works on a lane together with the other threads that belong to it."""
    threads, lanes = job["threads"], job["lane_count"]
    index, part = me % lanes, me // lanes
    parts = (threads - index + lanes - 1) // lanes
    lane = _Table(_lane(f, job, index), LANE)
    with f.range_(0, lane["chunks"]) as chunk:
        with f.if_(part == 0):
            _copy_inputs(f, lane, lane["first_chunk"] + chunk)
        _barrier(f, lane["barrier"], parts)
        place = f.select(part == 0, _spans_of(f, lane, chunk), f.constant(i64, 0))
        f.call(walk, lane["calls"], lane["call_count"], part, parts, lane["barrier"], place)


def _spans_of(f: Function, lane: _Table, chunk: Value) -> Value:
    """Where the times of a chunk's calls go, or 0."""
    spans = lane["spans"]
    return f.select(spans == 0, spans, spans + chunk * lane["call_count"] * (SPAN_SLOTS * 8))


def _lead(k: "Kernel") -> Function:
    """Builds `lead(lane)`: every call of every chunk, in order; before each one it looks who has come to help."""
    f = k.module.function("lead", None, [pointer])
    lane = _Table(Pointer(f.parameters[0], i64), LANE)
    words = _Table(Pointer(f.to_pointer(lane["help"]), i64), HELP)
    calls, count = Pointer(f.to_pointer(lane["calls"]), i64), lane["call_count"]
    with f.range_(0, lane["chunks"]) as chunk:
        _copy_inputs(f, lane, lane["first_chunk"] + chunk)
        spans = _spans_of(f, lane, chunk)
        with f.range_(0, count) as index:
            with f.if_(spans != 0):
                _stamp(f, spans + index * (SPAN_SLOTS * 8))
            helpers = f.atomic_load(words.at("joined"))
            with f.if_(helpers > 0):
                f.atomic_store(words.at("done"), 0)
                f.atomic_store(words.at("announced"), (chunk * count + index + 1) * _THREADS + (helpers + 1))
            call = calls + index * CALL_SLOTS
            f.call_pointer(f.to_pointer(call[0]), None, f.to_pointer(call[1]), f.constant(i64, 0), helpers + 1)
            with f.if_(helpers > 0):
                _await(f, lambda: f.atomic_load(words.at("done")) == helpers)
            with f.if_(spans != 0):
                _stamp(f, spans + (index * (SPAN_SLOTS * 8) + 8))
    f.atomic_store(words.at("announced"), _OVER)
    f.return_()
    return f


def _help(k: "Kernel") -> Function:
    """Builds `help(lane)`: takes part in the calls of a lane until there is none any more."""
    f = k.module.function("help", None, [pointer])
    lane = _Table(Pointer(f.parameters[0], i64), LANE)
    words = _Table(Pointer(f.to_pointer(lane["help"]), i64), HELP)
    calls, count = Pointer(f.to_pointer(lane["calls"]), i64), lane["call_count"]
    announced = words.at("announced")
    seen = f.variable(f.atomic_load(announced))
    with f.if_(seen.value != _OVER):
        part = f.atomic_add(words.at("joined"), 1) + 1
        with f.while_(lambda: seen.value != _OVER):
            _await(f, lambda: f.atomic_load(announced) != seen.value)
            seen.value = f.atomic_load(announced)
            parts = seen.value % _THREADS
            # Who has joined after the call was announced takes part in the next one.
            with f.if_((seen.value != _OVER) & (part < parts)):
                call = calls + (seen.value // _THREADS - 1) % count * CALL_SLOTS
                f.call_pointer(f.to_pointer(call[0]), None, f.to_pointer(call[1]), part, parts)
                f.atomic_add(words.at("done"), 1)
    f.return_()
    return f


def _walk(k: "Kernel") -> Function:
    """Builds `walk(calls, count, part, parts, barrier, spans)`: every call in order, a barrier after each."""
    f = k.module.function("walk", None, [i64] * 6)
    calls, count, part, parts, barrier, spans = f.parameters
    table = Pointer(f.to_pointer(calls), i64)
    with f.range_(0, count) as index:
        call = table + index * CALL_SLOTS
        with f.if_(spans != 0):
            _stamp(f, spans + index * (SPAN_SLOTS * 8))
        f.call_pointer(f.to_pointer(call[0]), None, f.to_pointer(call[1]), part, parts)
        _barrier(f, barrier, parts)
        with f.if_(spans != 0):
            _stamp(f, spans + (index * (SPAN_SLOTS * 8) + 8))
    f.return_()
    return f


def _stamp(f: Function, place: Value) -> None:
    """Stores the monotonic clock, in nanoseconds."""
    clock = f.stack(i64, 2)
    f.call_c("clock_gettime", i32, f.constant(i32, f.module.monotonic_clock), clock.address)
    Pointer(f.to_pointer(place), i64)[0] = clock[0] * 1_000_000_000 + clock[1]


def _copy_inputs(f: Function, lane: _Table, chunk: Value) -> None:
    inputs = Pointer(f.to_pointer(lane["inputs"]), i64)
    with f.range_(0, lane["input_count"]) as index:
        entry = _Table(inputs + index * len(INPUT), INPUT)
        size = entry["chunk_bytes"]
        target = Pointer(f.to_pointer(entry["lane_address"]), i8)
        source = Pointer(f.to_pointer(entry["address"] + chunk * entry["stride"]), i8)
        words = size // 8
        with f.range_(0, words) as word:
            target.cast(i64)[word] = source.cast(i64)[word]
        with f.range_(words * 8, size) as byte:
            target[byte] = source[byte]


def _barrier(f: Function, barrier: Value, parts: Value) -> None:
    """Waits until all parts are here. Two slots: how many have arrived, and how often all have."""
    with f.if_(parts > 1):
        arrived = Pointer(f.to_pointer(barrier), i64)
        rounds = arrived + 1
        seen = f.atomic_load(rounds)
        before = f.atomic_add(arrived, 1)
        with f.if_else(before == parts - 1) as branch:
            with branch.then:
                f.atomic_store(arrived, 0)
                f.atomic_add(rounds, 1)
            with branch.otherwise:
                _await(f, lambda: f.atomic_load(rounds) != seen)


def _await(f: Function, done: Callable[[], Value]) -> None:
    """Spins until `done()`; gives the processor away now and then, for there may be fewer processors than threads."""
    spins = f.variable(0, i64)
    with f.while_(lambda: done() == 0):
        f.pause()
        spins.value = spins.value + 1
        with f.if_((spins.value & 255) == 0):
            f.call_c("sched_yield", i32)
