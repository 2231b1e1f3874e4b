"""The built-in activations, as expressions. Another one is a few lines, in a plugin: see `ActivationInfo`."""

import math

from alpha_core.expression import Expression, X, coefficient, maximum, sigmoid, square, tanh

__all__ = ["gelu", "kan", "rational", "relu", "relu2", "silu", "universal"]


def gelu() -> Expression:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the tanh form that GPT-2 uses (Hendrycks, Gimpel 2016)."""
    inner = math.sqrt(2.0 / math.pi) * (X + 0.044715 * (square(X) * X))
    return 0.5 * X * (1.0 + tanh(inner))


def silu() -> Expression:
    """x sigmoid(x) (Elfwing, Uchibe, Doya 2017), also called swish."""
    return X * sigmoid(X)


def relu() -> Expression:
    """max(x, 0)."""
    return maximum(X, 0.0)


def relu2() -> Expression:
    """max(x, 0)^2 (So et al. 2021, "Primer")."""
    return square(maximum(X, 0.0))


def universal() -> Expression:
    """silu(x) gate + x skip, with a gate (1) and a skip (0) learned for each channel."""
    return silu() * coefficient("gate", 1.0) + X * coefficient("skip", 0.0)


def kan() -> Expression:
    """c0 silu + c1 relu + c2 gelu + c3 x + c4 x^2 with learned coefficients, from (.5, 0, .5, 0, 0)."""
    basis = (silu(), relu(), gelu(), X, square(X))
    start = (0.5, 0.0, 0.5, 0.0, 0.0)
    total = coefficient("c0", start[0]) * basis[0]
    for index in range(1, len(basis)):
        total = total + coefficient(f"c{index}", start[index]) * basis[index]
    return total


def rational() -> Expression:
    """(a0 + a1 x + a2 x^2 + a3 x^3) / (1 + (b x)^2) with learned coefficients.

    It starts close to relu on [-1, 1] (Boulle, Nakatsukasa, Townsend 2020, "Rational neural networks"); the denominator
    is a square plus one, so that no coefficient gives it a pole.
    """
    a0, a1 = coefficient("a0", 0.0218), coefficient("a1", 0.5)
    a2, a3 = coefficient("a2", 1.5957), coefficient("a3", 1.1915)
    b = coefficient("b", math.sqrt(2.383))
    return (a0 + X * (a1 + X * (a2 + X * a3))) / (1.0 + square(b * X))
