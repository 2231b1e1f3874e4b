"""What would be an invalid module fails in Python, at the call, and says what was expected."""

from collections.abc import Callable

import pytest

from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import bf16, f16, f32, f64, i1, i8, i16, i32, i64, vector
from alpha_helios.spirv.value import Value

_KERNEL = Kernel()
_P = _KERNEL.pointer(f32)
_F, _I, _L, _H = _P[0], _P.cast(i32)[0], _P.cast(i64)[0], _P.cast(i16)[0]
_V, _W = _P.load(0, 4), _P.cast(i32).load(0, 2)
_B = _F > 0

_MIXED: dict[str, tuple[Callable[[Kernel], object], str]] = {
    "int plus float": (lambda k: _F + _I, "`add` of f32 and i32: a value of type i32 where f32 is needed; `k.convert`"),
    "int plus long": (lambda k: _I * _L, "`mul` of i32 and i64"),
    "lanes": (lambda k: _V + _P.load(0, 2), "`add` of f32x4 and f32x2"),
    "fraction to int": (lambda k: _I + 0.5, "`add` of i32 and 0.5: 0.5 is not a whole number"),
    "too large": (lambda k: _I + 2**32, "4294967296 does not fit into i32"),
    "compare": (lambda k: _F < _I, "`lt` of f32 and i32"),
    "bits of float": (lambda k: _F & 1, "`and` does not work on f32"),
    "shift of float": (lambda k: _F << 1, "`shl` does not work on f32"),
    "sum of truth": (lambda k: _B + _B, "`add` does not work on i1"),
    "order of truth": (lambda k: _B < _B, "`lt` does not work on truth values"),
    "negated truth": (lambda k: -_B, "`negate` takes a number, not i1"),
    "inverted float": (lambda k: ~_F, "`invert` takes an integer or a truth value, not f32"),
    "select on int": (lambda k: k.select(_I, _F, _F), "`select` takes a truth value as condition, not i32"),
    "select of two": (lambda k: k.select(_B, _F, _I), "`select` of f32 and i32"),
    "numbers alone": (lambda k: k.maximum(1, 2), "`maximum` of 1 and 2: one of them must be a value of the kernel"),
    "fma of ints": (lambda k: k.fma(_I, 2, 3), "`fma` takes floats, not i32"),
    "fma of numbers": (lambda k: k.fma(1, 2, 3), "`fma` needs at least one value"),
    "exp of int": (lambda k: k.exp(_I), "`exp` takes a float, not i32"),
    "exp of double": (lambda k: k.exp(k.convert(_F, f64)), "`exp` takes a float, not f64"),
    "nan of int": (lambda k: k.unordered(_I), "`unordered` takes floats, not i32"),
    "below on floats": (lambda k: k.below(_F, 1), "`below` takes integers, not f32"),
    "bitcast": (lambda k: k.bitcast(_F, i16), "`bitcast` from f32 to i16: they have different sizes"),
    "bitcast of truth": (lambda k: k.bitcast(_B, i8), "`bitcast` from i1 to i8"),
    "bf16 of f16": (lambda k: k.to_bf16_bits(k.convert(_F, f16)), "`to_bf16_bits` takes f32, not f16"),
    "bits of i32": (lambda k: k.from_bf16_bits(_I), "`from_bf16_bits` takes i16, not i32"),
    "bfloat": (lambda k: k.convert(_F, bf16) + 1.0, "`add` does not work on bf16"),
    "product of longs": (lambda k: k.umul_extended(_L, 3), "`umul_extended` takes i32, not i64"),
    "unsigned of ints": (lambda k: k.convert_unsigned(_I, i64), "between integers and floats, not i32 to i64"),
    "condition": (lambda k: k.if_(_I).__enter__(), "`if_` takes a truth value, not i32"),
    "vector condition": (lambda k: k.if_(_V > 0).__enter__(), "`if_` takes a truth value, not i1x4"),
    "loop condition": (lambda k: k.while_(lambda: _I).__enter__(), "the condition of `while_` must be a truth value"),
    "bounds": (lambda k: k.range_(0, _F).__enter__(), "`range_` takes i32 or i64, not f32"),
    "float index": (lambda k: _P[_F], "an index of type f32; indices are i32 or i64"),
    "narrow index": (lambda k: _P[_H], "an index of type i16"),
    "half index": (lambda k: _P[0.5], "0.5 as an index; indices are whole numbers"),
    "stored int": (lambda k: _P.store(0, _I), "a value of type i32 stored as f32; `k.convert` converts numbers"),
    "stored vector": (lambda k: k.shared(vector(f32, 4), 4).store(0, _F), "a value of type f32 stored as f32x4"),
    "lanes of vectors": (lambda k: _P.cast(vector(f32, 4)).load(0, 4), "elements of type f32x4, which are vectors"),
    "eight lanes": (lambda k: _P.load(0, 8), "8 lanes; there are vectors of 2, 3 and 4"),
    "truth in buffers": (lambda k: _P.cast(i1)[0], "truth values do not lie in buffers"),
    "truth in shared": (lambda k: k.shared(i1, 4), "`shared` of truth values; keep them as i32"),
    "splat of vector": (lambda k: k.splat(_V, 2), "`splat` takes a scalar, not f32x4"),
    "shuffle of scalars": (lambda k: k.shuffle(_F, _F, (0, 1)), "`shuffle` takes vectors, not f32"),
    "variable": (lambda k: k.variable(1.0), "the type of a variable that starts as a plain number must be named"),
    "assignment": (lambda k: setattr(k.variable(_F), "value", _I), "assignment to a variable of type f32: a value of"),
    "atomic half": (lambda k: k.atomic_add(k.shared(f16, 2), 1.0), "on f16; it works on i32, i64 and f32"),
    "atomic bits": (lambda k: k.atomic_or(_P, 1), "AtomicOr` on f32; it works on i32, i64$"),
    "atomic int": (lambda k: k.atomic_add(_P.cast(i32), _F), "`atomic_add` on i32: a value of type f32 where i32"),
    "atomic local": (lambda k: k.atomic_add(k.array(i32, 2), 1), "an array of one invocation"),
    "reduced truth": (lambda k: k.subgroup_add(_B), "`subgroup_reduce add` takes a number, not i1"),
    "reduced bits": (lambda k: k.subgroup_reduce("xor", _F), "`subgroup_reduce xor` takes a number, not f32"),
    "vote": (lambda k: k.subgroup_all(_I), "`subgroup_all` takes a truth value, not i32"),
    "vector of none": (lambda k: k.vector(1.0, 2.0), "`vector` takes scalars, at least one of them a value"),
    "five lanes": (lambda k: k.vector(_F, _F, _F, _F, _F), "a vector of 5 lanes; there are vectors of 2, 3 and 4"),
    "not a value": (lambda k: k.if_(True).__enter__(), "True (bool) where a value of the kernel is needed"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("call", "message"), _MIXED.values(), ids=_MIXED.keys())
def test_types_that_do_not_go_together_are_refused(call: Callable[[Kernel], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(_KERNEL)
    if message.endswith("$"):
        assert str(caught.value).endswith(message[:-1])
    else:
        assert message in str(caught.value)


def test_values_are_no_python_truths_sequences_or_keys() -> None:
    with pytest.raises(TypeError, match=r"known only when the kernel runs; use `k\.if_`"):
        bool(_B)
    with pytest.raises(TypeError, match="known only when the kernel runs"):
        assert _F < 3 < _F
    with pytest.raises(TypeError, match=r"`k\.lanes\(value\)` gives the lanes"):
        list(_V)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unhashable"):
        hash(_F)
    with pytest.raises(IndexError, match="lane 4 of f32x4"):
        _V[4]
    with pytest.raises(IndexError, match="lane 0 of f32"):
        _F[0]


def test_values_of_another_kernel_are_refused() -> None:
    k = Kernel()
    p = k.pointer(f32)
    for use in (
        lambda: p[0] + _F,
        lambda: p[_I],
        lambda: p.store(0, _F),
        lambda: k.sqrt(_F),
        lambda: k.if_(_B).__enter__(),
    ):
        with pytest.raises(ValueError, match=r"the value .* belongs to another kernel"):
            use()


@pytest.mark.parametrize("block", ["if_", "else_", "range_", "while_"])
def test_values_of_a_block_that_ended_are_refused(block: str) -> None:
    k = Kernel()
    p = k.pointer(f32)
    inside: Value
    if block == "range_":
        with k.range_(0, 4) as inside:
            pass
    elif block == "while_":
        with k.while_(lambda: p[0] > 0):
            inside = p[1] + 1
    else:
        with k.if_(p[0] > 0) as branch:
            inside = p[1] + 1
        if block == "else_":
            with branch.else_():
                inside = p[1] + 2
    with pytest.raises(ValueError, match=rf"computed inside `{block}`, which has ended; assign it to a `k.variable`"):
        p[0] = k.convert(inside, f32) + 1


def test_nothing_follows_what_ends_a_block() -> None:
    k = Kernel()
    p = k.pointer(f32)
    with k.range_(0, 4):
        with k.if_(p[0] > 0):
            k.break_()
            with pytest.raises(ValueError, match="nothing can follow `break_` in the same block"):
                p[0] = 1.0
        k.continue_()
        with pytest.raises(ValueError, match="nothing can follow `continue_`"):
            k.barrier()
    k.return_()
    with pytest.raises(ValueError, match="nothing can follow `return_`"):
        p[0] = 1.0


def test_control_flow_in_the_wrong_place_is_refused() -> None:
    k = Kernel()
    p = k.pointer(f32)
    for leave in (k.break_, k.continue_):
        with pytest.raises(ValueError, match=f"`{leave.__name__}` outside of a loop"):
            leave()
    with k.if_(p[0] > 0) as branch:
        pass
    p[0] = 1.0
    with pytest.raises(ValueError, match="`else_` must follow its `if_` at once"), branch.else_():
        pass
    with pytest.raises(ValueError, match="step 0 never ends"), k.range_(0, 4, 0):
        pass
    unfinished = k.if_(p[0] > 0)
    unfinished.__enter__()
    with pytest.raises(ValueError, match="finished inside `if_`, which is still open"):
        k.finish()


def test_a_finished_kernel_takes_nothing_more() -> None:
    k = Kernel()
    p = k.pointer(f32)
    first = k.finish()
    with pytest.raises(ValueError, match="nothing can follow the end of the kernel"):
        p[0] = 1.0
    assert k.finish() is first


def test_stores_through_read_only_pointers_are_refused() -> None:
    k = Kernel()
    p = k.pointer(i32, readonly=True)
    with pytest.raises(TypeError, match="readonly=True"):
        p[0] = 1
    with pytest.raises(TypeError, match="readonly=True"):
        (p + k.global_(0)).cast(f32).store(0, 1.0)
    with pytest.raises(TypeError, match="readonly=True"):
        k.atomic_add(p, 1)


def test_sizes_and_alignments_that_cannot_be_are_refused() -> None:
    k = Kernel()
    p = k.pointer(f32)
    for alignment in (2, 12):
        with pytest.raises(ValueError, match=f"alignment {alignment} of f32; it must be a power of 2 of at least 4"):
            p.load(0, alignment=alignment)
    with pytest.raises(ValueError, match="`shared` of 0 elements"):
        k.shared(f32, 0)
    with pytest.raises(IndexError, match="element 4 of 4"):
        k.shared(f32, 4)[4]
    with pytest.raises(IndexError, match="element -1 of 4"):
        k.array(f32, 4)[-1] = 1.0
    with pytest.raises(ValueError, match="axis 3; there are 0, 1 and 2"):
        k.group(3)
    with pytest.raises(ValueError, match="floats of 8 bits"):
        k.preserve_nan(8)
    with pytest.raises(ValueError, match="a workgroup of 0 x 1 x 1"):
        Kernel((0, 1, 1))
    with pytest.raises(ValueError, match="they lie in 'push' or in 'memory'"):
        Kernel(arguments="stack")  # type: ignore[arg-type]


def test_arguments_beyond_the_push_constants_are_refused() -> None:
    k = Kernel()
    for _ in range(16):
        k.pointer()
    with pytest.raises(
        ValueError, match=r"argument 16 \(i32\) ends at byte 132 .* build the kernel with arguments='memory'"
    ):
        k.integer()
