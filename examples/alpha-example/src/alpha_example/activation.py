"""The activation `leaky_squareplus`."""

from alpha_core.expression import Expression, X, coefficient, sqrt, square

__all__ = ["leaky_squareplus"]


def leaky_squareplus() -> Expression:
    """(x + sqrt(x^2 + 4)) / 2 + leak x (Barron 2021, "Squareplus"), with a leak (0) learned for each channel."""
    squareplus = 0.5 * (X + sqrt(square(X) + 4.0))
    return squareplus + coefficient("leak", 0.0) * X
