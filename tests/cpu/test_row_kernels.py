"""Norms, softmax, losses, indexing, dropout, activations, AdamW and the choice of a token: every op of the table of
cases, at every level of vector instructions, split among threads in several ways."""

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("llvmlite")

from tests.cpu.backends import InParts, cpu, levels

from alpha_core import expression as ex
from alpha_core.dtype import DType
from alpha_core.errors import OpError
from alpha_core.expression import X
from alpha_core.recording.launch import KernelSpec
from alpha_core.recording.storage import View, view_of
from alpha_core.tensor import Tensor
from alpha_tensor.cpu.backend import Cpu
from alpha_tensor.cpu.kernels.activation import bias_activation
from alpha_testkit.compare import assert_close, assert_same_bits
from alpha_testkit.op_cases import OP_CASES, Case, Stored
from alpha_testkit.op_cases.case import leaves

Array = npt.NDArray[np.float32]

OPS = (
    *("layer_norm", "layer_norm_grad", "rms_norm", "rms_norm_grad"),
    *("softmax", "softmax_grad", "log_softmax", "log_softmax_grad", "cross_entropy", "cross_entropy_grad"),
    *("gather", "gather_grad", "embedding", "embedding_grad", "argmax", "top_k", "write_rows", "choose_token"),
    *("dropout_mask", "dropout", "bias_activation", "bias_activation_grad", "adamw_update"),
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Cpu:
    return cpu(tmp_path_factory.getbasetemp() / "kernels")


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", OPS)
def test_every_level_and_split_agrees_with_the_reference(
    name: str, level: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    op = OP_CASES[name]
    backend = InParts(tmp_path_factory.getbasetemp() / "kernels", 1, level)
    for sample in (*op.samples, *op.non_finite):
        case = Case(op, sample, DType.f32)
        host = case.host()
        reference = case.reference(host)
        wanted = leaves([reference[n] for n in op.spec.writes] if op.spec.writes else reference)
        whole, *others = [_results(backend, case, parts) for parts in (1, 2, 3, 5)]
        for got, want in zip(whole, wanted, strict=True):
            if got is not None:
                values = want.values if isinstance(want, Stored) else np.asarray(want)
                dtype = DType.i32 if values.dtype == np.int32 else DType.f32
                assert_close(f"sample `{sample.name}`", got, values, dtype, case.tolerance)
        for other in others:
            for got, want in zip(other, whole, strict=True):
                if got is not None and want is not None:
                    assert_same_bits(f"sample `{sample.name}` in parts", got, want)


def _results(backend: InParts, case: Case, parts: int) -> list[npt.NDArray[np.generic] | None]:
    backend.parts = parts
    arguments = case.upload(backend, case.host())
    out = case.op.call(getattr(backend, case.op.name), arguments)
    written = [arguments[name] for name in case.op.spec.writes]
    return [None if tensor is None else backend.download(tensor) for tensor in leaves(written or out)]


def test_norms_read_rows_where_they_stand(backend: Cpu) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 3, 20)).astype(np.float32)  # (B, T, H, D) in memory
    grad = np.random.default_rng(1).standard_normal((2, 3, 5, 20)).astype(np.float32)
    weight = backend.upload(np.linspace(0.5, 2.0, 20, dtype=np.float32))
    turned = _turned(backend.upload(x))
    plain = backend.upload(np.ascontiguousarray(x.transpose(0, 2, 1, 3)))
    for tensor in (turned, plain):
        assert tensor.shape == grad.shape
    for got, want in (
        (backend.rms_norm(turned, weight), backend.rms_norm(plain, weight)),
        (backend.layer_norm(turned, weight, weight), backend.layer_norm(plain, weight, weight)),
        *zip(
            backend.layer_norm_grad(backend.upload(grad), turned, weight),
            backend.layer_norm_grad(backend.upload(grad), plain, weight),
            strict=True,
        ),
    ):
        assert_same_bits("with strides", backend.download(got), backend.download(want))


def _turned(x: Tensor) -> Tensor:
    """Returns a view in which the second and third axis have changed places."""
    view = view_of(x)
    a, b, c, d = x.shape
    return Tensor((a, c, b, d), x.dtype, View(view.buffer, tuple(view.strides[i] for i in (0, 2, 1, 3))))


def test_sums_over_many_rows_lose_little(backend: Cpu) -> None:
    rng = np.random.default_rng(0)
    grad, x = (rng.random((20000, 24)).astype(np.float32) for _ in range(2))
    _, dweight, dbias = backend.layer_norm_grad(backend.upload(grad), backend.upload(x), backend.full((24,), 1.0))
    exact = grad.astype(np.float64).sum(0)
    assert np.max(np.abs(backend.download(dbias) / exact - 1)) < 2e-6
    centred = x.astype(np.float64) - x.mean(-1, keepdims=True, dtype=np.float64)
    normalized = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    assert np.max(np.abs(backend.download(dweight) - (grad * normalized).sum(0))) < 2e-2


def test_cross_entropy_of_a_large_vocabulary(backend: Cpu) -> None:
    rng = np.random.default_rng(0)
    logits = (rng.standard_normal((3, 50257)) * 4).astype(np.float32)
    logits[1, 70:] = -np.inf
    targets = np.array([50256, 3, -1], np.int32)
    exact = logits.astype(np.float64)
    exact -= exact.max(-1, keepdims=True)
    exact -= np.log(np.exp(exact).sum(-1, keepdims=True))
    given = backend.upload(logits), backend.upload(targets)
    losses = backend.download(backend.cross_entropy(*given))
    np.testing.assert_allclose(losses, [-exact[0, 50256], -exact[1, 3], 0.0], rtol=1e-6)
    grad = np.array([0.5, -2.0, 3.0], np.float32)
    got = backend.download(backend.cross_entropy_grad(backend.upload(grad), *given))
    want = np.exp(exact)
    want[0, 50256] -= 1
    want[1, 3] -= 1
    np.testing.assert_allclose(got, want * np.array([[0.5], [-2.0], [0.0]]), atol=2e-7)
    assert not got[1, 70:].any(), "what cannot be chosen has no gradient"


def test_gradients_of_rows_go_to_their_table_as_if_in_two_steps(backend: Cpu) -> None:
    rng = np.random.default_rng(0)
    rows, table = 70, rng.standard_normal((70, 37)).astype(np.float32)
    table[5], table[6] = -0.0, np.nan
    ids = rng.choice([0, 1, 2, 6, 33, 69], 40).astype(np.int32)
    grad = rng.standard_normal((40, 37)).astype(np.float32)
    apart, fused = backend.upload(table), backend.upload(table)
    summed = backend.embedding_grad(backend.upload(grad), backend.upload(ids), rows)
    backend.add_into(apart, summed)

    def step(given: Tensor) -> list[Tensor]:
        backend.add_into(fused, backend.embedding_grad(given, backend.upload(ids), rows))
        return []

    backend.record(step, [grad], name="step")(grad)
    got, want = backend.download(fused), backend.download(apart)
    used = np.isin(np.arange(rows), ids)
    assert_same_bits("rows that occur", got[used], want[used])
    assert_same_bits("rows that do not", got[~used], table[~used])


def test_ids_outside_the_table_are_refused(backend: Cpu) -> None:
    table, ids = backend.zeros((7, 3)), backend.upload(np.array([0, 7], np.int32))
    with pytest.raises(OpError, match="index 7 is outside"):
        backend.embedding(table, ids)
    with pytest.raises(OpError, match="target 7 is outside"):
        backend.cross_entropy(backend.zeros((2, 7)), ids)


@pytest.mark.parametrize("k", [1, 40, 3000])
def test_the_largest_of_many(backend: Cpu, k: int) -> None:
    x = np.random.default_rng(0).integers(-500, 500, (2, 3000)).astype(np.float32)
    x[:, ::7] *= -0.0
    x[0, 100], x[1, 5:9] = np.nan, np.inf
    values, indices = map(backend.download, backend.top_k(backend.upload(x), k))
    order = np.argsort(-x, axis=-1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, -1))


@pytest.mark.parametrize(
    "limits", [{}, {"top_k": 12}, {"top_p": 0.7}, {"min_p": 0.2}, {"top_k": 300, "top_p": 0.9, "min_p": 0.05}], ids=str
)
def test_tokens_are_drawn_by_their_probabilities(backend: Cpu, limits: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    draws, logits = 4000, rng.standard_normal(600).astype(np.float32) * 3
    uniform = ((np.arange(draws) + 0.5) / draws).astype(np.float32)
    given = backend.upload(np.tile(logits, (draws, 1))), backend.upload(uniform)
    chosen = backend.download(backend.choose_token(*given, 0.8, **limits))  # type: ignore[arg-type]
    counted = np.bincount(chosen, minlength=600) / draws
    order = np.argsort(-logits, kind="stable")[: int(limits.get("top_k", 600))]
    p = np.exp((logits[order].astype(np.float64) - logits.max()) / 0.8)
    p /= p.sum()
    p = p[np.cumsum(p) - p < limits.get("top_p", 1.1)]
    p = p[p >= limits.get("min_p", 0.0) * p[0]]
    want = np.zeros(600)
    want[order[: len(p)]] = p / p.sum()
    assert not counted[want == 0].any()
    assert np.max(np.abs(counted - want)) <= 1.1 / draws
    assert (np.diff(chosen) >= 0).all()


def test_a_uniform_number_of_one_still_gives_a_kept_token(backend: Cpu) -> None:
    logits = np.full((1, 1000), -np.inf, np.float32)
    logits[0, [3, 17]] = 0.0
    given = backend.upload(logits), backend.full((1,), 1.0)
    assert backend.download(backend.choose_token(*given)).tolist() == [17]


def test_expressions_that_print_alike_are_different_kernels() -> None:
    one, other = (KernelSpec.of(bias_activation, expression=X * value, bias=False) for value in (1.0000001, 1.0000002))
    assert str(one.parameters) == str(other.parameters)
    assert one.identity != other.identity


def test_an_activation_in_one_kernel_equals_its_steps(backend: Cpu) -> None:
    rng = np.random.default_rng(0)
    x, floor = rng.standard_normal((70, 33)).astype(np.float32) * 4, rng.random(33).astype(np.float32)
    function = ex.maximum(X * ex.sigmoid(1.702 * X), -ex.coefficient("floor", 0.5)) + ex.tanh(X) * 0.5
    fused = backend.bias_activation(backend.upload(x), None, function, [backend.upload(floor)])
    inner = x.astype(np.float64)
    want = np.maximum(inner / (1 + np.exp(-1.702 * inner)), -floor) + np.tanh(inner) * 0.5
    np.testing.assert_allclose(backend.download(fused), want, atol=2e-6)


def test_second_moments_below_the_normal_numbers_become_zero(backend: Cpu) -> None:
    tensors = [backend.full((100,), value) for value in (1.0, 0.0, 1e-39, 1e-39)]
    one, rate = backend.full((), 1.0), backend.full((), 0.125)
    p, g, m, v = tensors
    backend.adamw_update(
        [p], [g], [m], [v], rate, one, one, one, one, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0
    )
    np.testing.assert_array_equal(backend.download(p), np.ones(100, np.float32))
    assert backend.download(v).max() <= np.float32(1e-39)
    with np.errstate(all="ignore"):
        assert np.float32(1e-39) * np.float32(0.5) > 0, "the host's arithmetic is as before"


def test_many_parameters_take_one_launch(backend: Cpu) -> None:
    rng = np.random.default_rng(0)
    sizes = [1, 16, 17, 3000, 5]
    lists = [[rng.random(size).astype(np.float32) for size in sizes] for _ in range(4)]
    tensors = [[backend.upload(array) for array in arrays] for arrays in lists]
    rate, correction1, correction2, scale, apply = (backend.full((), value) for value in (0.01, 0.5, 0.25, 2.0, 1.0))
    parameters, gradients, firsts, seconds = tensors
    scalars = rate, correction1, correction2, scale, apply
    scalars = rate, correction1, correction2, scale, apply
    backend.adamw_update(
        parameters, gradients, firsts, seconds, *scalars, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.1
    )
    for place, (p, g, m, v) in enumerate(zip(*lists, strict=True)):
        first, second = 0.9 * m + 0.1 * 2 * g, 0.99 * v + 0.01 * (2 * g) ** 2
        want = p - 0.01 * (first / 0.5 / (np.sqrt(second / 0.25) + 1e-8) + 0.1 * p)
        np.testing.assert_allclose(backend.download(tensors[0][place]), want, atol=1e-7)
        np.testing.assert_allclose(backend.download(tensors[3][place]), second, rtol=1e-6)
