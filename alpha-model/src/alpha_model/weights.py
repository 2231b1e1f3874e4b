"""The weights that a model multiplies with, as they were trained or quantized, and products with them.

A quantized weight is a parameter in bf16, or one in i8 whose scales are the parameter `NAME.scale`, one for each row
(output channel): it stands for weight * scale. Everything that multiplies goes through `project` and `look_up`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alpha_core.backend import Backend
from alpha_core.dtype import DType
from alpha_core.tensor import Tensor
from alpha_model.parameters import ParameterSpec

__all__ = ["WEIGHT_FORMATS", "Parameters", "look_up", "project", "quantize", "upload_parameters"]

Parameters = Mapping[str, Tensor]

WEIGHT_FORMATS = ("f32", "bf16", "int8")

_LARGEST = 127  # -128 is left out, so that the range is symmetric


def quantize(weight: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Returns the nearest integers q and scales s with weight[m] close to s[m] * q[m]. (M, K) gives (M, K) and (M,)

    A row's largest magnitude becomes 127. A row that is not finite stays so: its scale is not finite either.
    """
    scale = (np.abs(weight).max(axis=1, initial=0.0) / _LARGEST).astype(np.float32)
    with np.errstate(all="ignore"):
        levels = np.rint(weight / np.where(scale > 0, scale, 1)[:, None])
        return np.nan_to_num(np.clip(levels, -_LARGEST, _LARGEST)).astype(np.int8), scale


def upload_parameters(
    backend: Backend,
    specs: Sequence[ParameterSpec],
    values: Mapping[str, npt.NDArray[Any]],
    dtype: DType,
    weights: str | None = None,
    *,
    head: str,
) -> dict[str, Tensor]:
    """Returns parameters on a backend, in `dtype`, and those that are multiplied with in one of `WEIGHT_FORMATS`.

    That is every matrix and the output `head`. A table that is only looked up stays as it is: a token reads one row.
    """
    parameters: dict[str, Tensor] = {}
    for spec in specs:
        array = values[spec.name]
        multiplied = spec.kind == "matrix" or spec.name == head
        if weights == "bf16" and multiplied:
            parameters[spec.name] = backend.upload(array, DType.bf16)
        elif weights == "int8" and multiplied:
            levels, scale = quantize(array)
            parameters[spec.name] = backend.upload(levels)
            parameters[f"{spec.name}.scale"] = backend.upload(scale, dtype)
        else:
            parameters[spec.name] = backend.upload(array, dtype)
    return parameters


def project(b: Backend, parameters: Parameters, name: str, x: Tensor) -> Tensor:
    """Returns x weight^T. x (N, K), weight (M, K) gives (N, M)"""
    weight = parameters[name]
    if weight.dtype is x.dtype:
        return b.matmul(x, weight, transpose_b=True)
    return b.quantized_matmul(x, weight, parameters.get(f"{name}.scale"))


def look_up(b: Backend, parameters: Parameters, name: str, ids: Tensor) -> Tensor:
    """Returns rows of a table in the dtype of computation. ids (...), table (V, E) gives (..., E)"""
    table, dtype = parameters[name], parameters["lnF.weight"].dtype
    if table.dtype is dtype:
        return b.embedding(table, ids)
    return b.quantized_embedding(table, ids, parameters.get(f"{name}.scale"), dtype)
