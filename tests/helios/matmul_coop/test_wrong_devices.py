"""A device that multiplies matrices wrongly does without them, and says so."""

from typing import Any

import numpy as np
import pytest
from tests.helios.matmul.products import bound, exact, operands, rounded

from alpha_core.dtype import DType
from alpha_helios.backend import Helios
from alpha_helios.coop import coop_variants
from alpha_helios.kernels import matmul_coop, matmul_coop2
from alpha_helios.product import Problem, Task


def _opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, line: str) -> Helios:
    """Opens a backend that knows of no test so far; it has to say one line."""
    monkeypatch.setenv("ALPHA_CACHE", str(tmp_path))
    for variable in ("ALPHA_HELIOS_DISABLE", "ALPHA_FAIL_ON_SMOKE_TEST"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.warns(UserWarning, match=line):
        return Helios()


def _assert_products_are_right(helios: Helios) -> None:
    a, b = operands(np.random.default_rng(0), 70, 45, 40, False, False)
    helios.set_matmul_dtype(DType.f16)
    result = helios.download(helios.matmul(helios.upload(a), helios.upload(b)))
    left, right = rounded(a, DType.f16), rounded(b, DType.f16)
    expected = exact(left, right)
    assert (np.abs(result - expected) <= bound(left, right) + 2.0**-11 * np.abs(expected) + 2.0**-25).all()


def _found(helios: Helios) -> list[str]:
    x = helios.empty((64, 64))
    task = Task(Problem.of(x, x, False, False, x.shape), x, helios.empty, "f16")
    return [str(variant) for variant in coop_variants(task, helios.info)]


@pytest.mark.usefixtures("coop")
def test_matrices_that_are_multiplied_wrongly(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    right = matmul_coop._sums

    def wrong(*arguments: Any) -> Any:
        sums = right(*arguments)
        sums[0][0].value = sums[0][0].value * 1.01
        return sums

    monkeypatch.setattr(matmul_coop, "_sums", wrong)
    helios = _opened(monkeypatch, tmp_path, "fast path `coop` is off: .* computes wrong numbers with it: a product by")
    try:
        assert helios.paths.off["coop2"] == "it builds on `coop`, which is off"
        assert not _found(helios)
        _assert_products_are_right(helios)
    finally:
        helios.close()


def test_sums_that_are_finished_wrongly_where_they_are(
    coop: Helios, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    if "coop2" in coop.paths.off:
        pytest.skip("needs a Vulkan device with cooperative matrices that calls a function for each element")
    right = matmul_coop2.store_elements
    wrong = lambda k, block, sums, row, column: right(k, block, sums, row + 1, column)  # noqa: E731
    monkeypatch.setattr(matmul_coop, "store_elements", wrong)
    helios = _opened(monkeypatch, tmp_path, "fast path `coop2` is off: .* computes wrong numbers with it")
    try:
        assert "coop" in helios.paths.on
        assert _found(helios)
        assert not any(name.startswith("coop2") for name in _found(helios))
        _assert_products_are_right(helios)
    finally:
        helios.close()
