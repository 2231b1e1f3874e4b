"""Tables: arguments of one kind that lie in a row in memory, so that a kernel can index them."""

import numpy as np
import pytest
from tests.helios.spirv.tools import validated

from alpha_core.recording.launch import KernelSpec
from alpha_helios.backend import Helios
from alpha_helios.spirv.kernel import Kernel, TooManyArgumentsError
from alpha_helios.spirv.place import Pointer
from alpha_helios.spirv.types import f32


def pick(k: Kernel, count: int) -> None:
    """y[i] = scale[i] * x[i][step[i]] for tensors x, of which each group takes one."""
    y, tensors = k.pointer(), k.table(count)
    which = k.integer()
    steps, scales = k.table(count, "i64"), k.table(count, "f32")
    last = k.integer()
    i = k.group(0)
    with k.if_((k.local_index == 0) & (i <= last)):
        place = Pointer(tensors[i], f32, readonly=True)
        y[i] = place[steps[i]] * scales[i] + k.convert(which, f32)


def test_a_kernel_indexes_its_arguments(helios: Helios) -> None:
    count = 40
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(7 + index).astype(np.float32) for index in range(count)]
    steps, scales = [index % 7 for index in range(count)], [float(index) / 2 for index in range(count)]
    y = helios.empty((count,))
    helios.launch(
        KernelSpec.of(pick, count=count, workgroup=8),
        writes=[y],
        reads=[helios.upload(array) for array in arrays],
        values=[3, *steps, *scales, count - 1],
        groups=(count, 1, 1),
    )
    want = [array[step] * np.float32(scale) + 3 for array, step, scale in zip(arrays, steps, scales, strict=True)]
    np.testing.assert_array_equal(helios.download(y), np.array(want, np.float32))


def test_arguments_lie_in_order_and_aligned() -> None:
    k = Kernel((8, 1, 1), "memory")
    pick(k, 2)
    binary = validated(k)
    assert binary.arguments == (
        ("address", 0),
        *(("address", 8), ("address", 16)),
        ("i32", 24),
        *(("i64", 32), ("i64", 40)),
        *(("f32", 48), ("f32", 52)),
        ("i32", 56),
    )


def test_push_constants_hold_no_table() -> None:
    k = Kernel((8, 1, 1))
    k.pointer()
    with pytest.raises(TooManyArgumentsError, match=r"the 3 arguments from 1 on are a table.*arguments='memory'"):
        k.table(3)


def test_a_table_has_rows() -> None:
    with pytest.raises(ValueError, match="a table of 0 arguments"):
        Kernel((8, 1, 1), "memory").table(0)
