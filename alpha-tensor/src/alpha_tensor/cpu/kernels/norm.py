"""Layer norm and RMS norm of rows, and their gradients."""

from alpha_tensor.cpu.kernel import Kernel
from alpha_tensor.cpu.kernels.rows import Rows, Term, row_sums, sweep
from alpha_tensor.cpu.llvm.types import f32, vector
from alpha_tensor.cpu.llvm.value import Pointer, Value

__all__ = ["norm", "norm_grad", "sum_blocks"]


def norm(k: Kernel, centred: bool, bias: bool, strided: bool) -> None:
    """out = (x - mean) / sqrt(mean of squares + eps) * weight + bias; the mean is 0 unless `centred`."""
    out, x, weight = k.pointer(), k.pointer(), k.pointer()
    shift = k.pointer() if bias else None
    count, width, eps = k.integer(), k.integer(), k.number()
    rows, lanes = Rows(k, x, strided), k.target.lanes
    share_of_one = 1.0 / k.convert(width, f32)
    with k.share(count) as (start, stop), k.range_(start, stop) as row:
        source, target = rows[row], out + row * width
        mean = _mean(k, source, width, share_of_one) if centred else None
        (squares,) = row_sums(k, width, 1, lambda i, mask: [_square(_moved(source.load(i, lanes, mask), mean))])
        factor = k.splat(1.0 / k.sqrt(squares * share_of_one + eps), lanes)

        def write(i: Value, mask: Value | None, slot: int) -> None:
            scaled = _moved(source.load(i, lanes, mask), mean) * factor
            w = weight.load(i, lanes, mask)
            target.store(i, scaled * w if shift is None else k.fma(scaled, w, shift.load(i, lanes, mask)), mask)

        sweep(k, 0, width, write)


def norm_grad(k: Kernel, centred: bool, strided: bool) -> None:
    """The gradient for x, and for each block of rows the sums for weight (and, `centred`, for bias).

    With n = (x - mean) * r and g = grad * weight: dx = r * (g - mean(g) - n * mean(g * n)), mean(g) if `centred`.
    """
    dx, partial, grad, x, weight = (k.pointer() for _ in range(5))
    count, width, block, eps = k.integer(), k.integer(), k.integer(), k.number()
    grads, rows, lanes = Rows(k, grad, strided), Rows(k, x, strided), k.target.lanes
    share_of_one = 1.0 / k.convert(width, f32)
    sums = 2 if centred else 1
    with k.share((count + block - 1) // block) as (start, stop), k.range_(start, stop) as index:
        dweight = partial + index * (width * sums)
        dbias = dweight + width
        sweep(k, 0, width * sums, lambda i, mask, slot: dweight.store(i, k.splat(k.constant(f32, 0), lanes), mask))
        with k.range_(index * block, k.minimum((index + 1) * block, count)) as row:
            _row_gradient(
                k, centred, dx + row * width, grads[row], rows[row], weight, dweight, dbias, width, eps, share_of_one
            )


def _row_gradient(
    k: Kernel,
    centred: bool,
    dx: Pointer,
    grad: Pointer,
    x: Pointer,
    weight: Pointer,
    dweight: Pointer,
    dbias: Pointer,
    width: Value,
    eps: Value,
    share_of_one: Value,
) -> None:
    lanes = k.target.lanes
    mean = _mean(k, x, width, share_of_one) if centred else None

    def terms(i: Value, mask: Value | None) -> list[Term]:
        moved = _moved(x.load(i, lanes, mask), mean)
        scaled = grad.load(i, lanes, mask) * weight.load(i, lanes, mask)
        products: list[Term] = [(moved, moved), (scaled, moved)]
        return [*products, scaled] if centred else products

    squares, along, *plain = row_sums(k, width, 3 if centred else 2, terms)
    reciprocal = 1.0 / k.sqrt(squares * share_of_one + eps)
    factor = k.splat(reciprocal, lanes)
    slope = k.splat(along * share_of_one * reciprocal, lanes)  # mean(g * n)
    level = k.splat(plain[0] * share_of_one, lanes) if centred else None

    def write(i: Value, mask: Value | None, slot: int) -> None:
        g = grad.load(i, lanes, mask)
        n = _moved(x.load(i, lanes, mask), mean) * factor
        scaled = _moved(g * weight.load(i, lanes, mask), level)
        dx.store(i, k.fma(-n, slope, scaled) * factor, mask)
        dweight.store(i, k.fma(g, n, dweight.load(i, lanes, mask)), mask)
        if centred:
            dbias.store(i, g + dbias.load(i, lanes, mask), mask)

    sweep(k, 0, width, write)


def sum_blocks(k: Kernel, add: bool) -> None:
    """out[c] = sum of partial[b][first + c] over the blocks b, in order; added to out if `add`."""
    out, partial = k.pointer(), k.pointer()
    blocks, stride, first, width = (k.integer() for _ in range(4))
    lanes = k.target.lanes

    def write(i: Value, mask: Value | None, slot: int) -> None:
        total = k.variable(k.constant(vector(f32, lanes), 0))
        with k.range_(0, blocks) as block:
            total.value = total.value + partial.load(block * stride + first + i, lanes, mask)
        out.store(i, out.load(i, lanes, mask) + total.value if add else total.value, mask)

    with k.share(width, lanes) as (start, stop):
        sweep(k, start, stop, write)


def _mean(k: Kernel, row: Pointer, width: Value, share_of_one: Value) -> Value:
    (total,) = row_sums(k, width, 1, lambda i, mask: [row.load(i, k.target.lanes, mask)])
    return k.splat(total * share_of_one, k.target.lanes)


def _moved(value: Value, mean: Value | None) -> Value:
    return value if mean is None else value - mean


def _square(value: Value) -> tuple[Value, Value]:
    return value, value
