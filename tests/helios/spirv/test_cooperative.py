"""Cooperative matrices make valid modules, and name the products that a device must have."""

import pytest
from tests.helios.spirv.tools import validated

from alpha_helios.spirv.cooperative import Product
from alpha_helios.spirv.disassemble import decode
from alpha_helios.spirv.kernel import Kernel
from alpha_helios.spirv.types import Type, bf16, f16, f32, i8, i32, vector


def _factors(k: Kernel, component: Type, total: Type) -> tuple:  # type: ignore[type-arg]
    return (
        k.coop_matrix(component, 16, 32, "a"),
        k.coop_matrix(component, 32, 8, "b"),
        k.coop_matrix(total, 16, 8, "accumulator"),
    )


@pytest.mark.parametrize(("component", "total"), [(f16, f32), (f16, f16), (bf16, f32), (i8, i32)], ids=str)
@pytest.mark.parametrize("layout", ["row", "column"])
def test_a_product_is_accumulated_over_a_loop(component: Type, total: Type, layout: str) -> None:
    k = Kernel((32, 1, 1), subgroup_size=32)
    c, a, b = k.pointer(total), k.pointer(component), k.pointer(component, readonly=True)
    n = k.integer()
    left, right, sums = _factors(k, component, total)
    acc = k.coop_variable(k.coop_fill(sums, 0))
    with k.range_(0, n, 32) as i:
        x = k.coop_load(left, a, i, stride=n, layout=layout)  # type: ignore[arg-type]
        y = k.coop_load(right, b, i * n, stride=n, layout=layout, alignment=16)  # type: ignore[arg-type]
        acc.value = k.coop_muladd(x, y, acc.value)
    k.coop_store(c, k.group(0), acc.value, stride=8, layout=layout)  # type: ignore[arg-type]
    binary = validated(k)
    assert binary.products == {Product(16, 8, 32, component, component, total, "subgroup")}
    assert {"cooperativeMatrix", "vulkanMemoryModel"} <= binary.requirements
    assert ("shaderBFloat16CooperativeMatrix" in binary.requirements) == (component == bf16)


def test_matrices_lie_in_shared_memory_of_any_element() -> None:
    k = Kernel((32, 1, 1))
    left, _, sums = _factors(k, f16, f32)
    words, halves, floats = k.shared(vector(i32, 4), 64), k.shared(f16, 512), k.shared(f32, 128)
    n = k.integer()
    x = k.coop_load(left, words, 2, stride=32)
    x = x + k.coop_load(left, words + k.local_index, 0, stride=n) + k.coop_load(left, halves, 0, stride=40)
    k.coop_store(halves, k.local_index, x, stride=32)
    k.coop_store(floats, 0, k.coop_fill(sums, 1), stride=8, layout="column")
    rows = list(decode(validated(k).code))
    first = next(row for row in rows if row.name == "CooperativeMatrixLoadKHR")
    (four,) = (row.result for row in rows if row.name == "Constant" and row.operands == (("literal", 4),))
    assert first.operands[2] == ("i", four)  # 32 halves are 4 vectors of 4 words


def test_matrices_are_computed_element_by_element() -> None:
    k = Kernel((32, 1, 1))
    c, factor = k.pointer(f32), k.number()
    _, _, sums = _factors(k, f16, f32)
    x = k.coop_load(sums, c, 0, stride=8)
    y = (x * factor + 2.0 * x) * x / x - (-x)
    k.coop_store(c, 0, y.convert(f16).convert(f32).convert(f32), stride=8)
    k.coop_store(c.cast(i32), 0, y.convert(i32) * 3, stride=8)
    k.coop_store(c, 0, y.convert(i32).convert(f32), stride=8)
    k.coop_store(c.cast(i8), 0, (-y.convert(i32)).convert(i8), stride=8)
    validated(k)


def test_the_components_of_a_matrix_can_be_reached() -> None:
    k = Kernel((32, 1, 1))
    _, _, sums = _factors(k, f16, f32)
    acc = k.coop_variable(k.coop_fill(sums, 1.0))
    with k.range_(0, k.coop_length(sums)) as i:
        acc[i] = acc[i] * 2 + k.convert(i, f32)
    acc[0] = 0.0
    k.coop_store(k.pointer(f32), 0, acc.value, stride=8)
    validated(k)


def test_integers_are_multiplied_with_their_signs() -> None:
    k = Kernel((32, 1, 1))
    left, right, sums = _factors(k, i8, i32)
    x, y, z = k.coop_fill(left, -1), k.coop_fill(right, 2), k.coop_fill(sums, 3)
    k.coop_muladd(x, y, z)
    k.coop_muladd(x, y, z, saturating=True)
    rows = [row for row in decode(validated(k).code) if row.name == "CooperativeMatrixMulAddKHR"]
    assert [row.operands[-1] for row in rows] == [("n", 0xF), ("n", 0x1F)]


def test_products_that_do_not_fit_are_refused() -> None:
    k = Kernel((32, 1, 1))
    left, right, sums = (k.coop_fill(type_, 0) for type_ in _factors(k, f16, f32))
    for wrong in ((right, left, sums), (left, left, sums), (left, right, left)):
        with pytest.raises(TypeError, match=r"`coop_muladd` of matrix . of .* do not fit together"):
            k.coop_muladd(*wrong)
    other = k.coop_fill(k.coop_matrix(f16, 16, 8, "b"), 0)
    with pytest.raises(TypeError, match="matrix b of 16 x 8 f16 per subgroup"):
        k.coop_muladd(left, other, sums)


def test_wrong_uses_of_matrices_are_refused() -> None:
    k = Kernel((32, 1, 1))
    p = k.pointer(f16, readonly=True)
    left, _, sums = _factors(k, f16, f32)
    x, total = k.coop_fill(left, 0), k.coop_fill(sums, 0)
    with pytest.raises(TypeError, match="readonly=True"):
        k.coop_store(p, 0, x, stride=32)
    with pytest.raises(TypeError, match="array of one invocation"):
        k.coop_load(left, k.array(f16, 8), 0, stride=32)
    with pytest.raises(TypeError, match=r"`add` of matrix a .* both must be of one type"):
        x + total
    with pytest.raises(TypeError, match="a value of type f32 where f16 is needed"):
        x * k.number()
    with pytest.raises(ValueError, match="stride 12: rows begin inside elements of 8 components"):
        k.coop_load(left, k.shared(vector(i32, 4), 8), 0, stride=12)
    with pytest.raises(TypeError, match="not whole components"):
        k.coop_load(sums, k.shared(f16, 8), 0, stride=8)
    with pytest.raises(ValueError, match="layout 'diagonal'"):
        k.coop_load(left, p, 0, stride=8, layout="diagonal")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="components are integers or floats"):
        k.coop_matrix(vector(f32, 2), 8, 8, "a")
    with pytest.raises(ValueError, match="use 'c'"):
        k.coop_matrix(f32, 8, 8, "c")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="assigned to a variable of type matrix accumulator"):
        k.coop_variable(total).value = x
    with pytest.raises(TypeError, match=r"use `k\.if_`"):
        bool(x)
