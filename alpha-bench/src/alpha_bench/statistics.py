"""What a row of samples says: its median and its spread."""

import math
from collections.abc import Sequence

import attrs
import numpy as np

__all__ = ["Summary"]


@attrs.frozen(kw_only=True)
class Summary:
    """Order statistics of some samples: they need no assumption about how noise is distributed."""

    count: int
    minimum: float
    quartile_1: float
    median: float
    quartile_3: float
    maximum: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Summary":
        """Raises `ValueError` for no samples, and for samples that are not finite.

        >>> Summary.of([3.0, 1.0, 2.0]).median
        2.0
        """
        if not samples or not all(map(math.isfinite, samples)):
            raise ValueError("a summary needs samples, all of them finite")
        minimum, quartile_1, median, quartile_3, maximum = np.quantile(samples, (0, 0.25, 0.5, 0.75, 1)).tolist()
        return cls(
            count=len(samples),
            minimum=minimum,
            quartile_1=quartile_1,
            median=median,
            quartile_3=quartile_3,
            maximum=maximum,
        )

    @property
    def spread(self) -> float:
        """The middle half of the samples as a share of the median: (quartile 3 - quartile 1) / median."""
        return (self.quartile_3 - self.quartile_1) / self.median if self.median else 0.0
