"""The safetensors format, and a whole model of Alpha in one file."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.interchange.conftest import DATA, LLAMA, Make, logits_of

from alpha_core.errors import CheckpointError
from alpha_interchange import read_alpha_safetensors, write_alpha_safetensors
from alpha_interchange.safetensors_file import open_safetensors, write_safetensors
from alpha_tokenizers import CharTokenizer


def safetensors_bytes(header: Any, payload: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


def entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "options", [{"activation": "kan", "qk_norm": True, "soft_cap": 2.0, "bias": True}, LLAMA, {"norm": "rms"}]
)
def test_a_model_of_any_options_comes_back_the_same(options: Any, make: Make, tmp_path: Path) -> None:
    stored = make(CharTokenizer.train(["hello"]), **options)
    path = tmp_path / "model.safetensors"
    write_alpha_safetensors(path, stored)
    again = read_alpha_safetensors(path)
    assert again.model.config == stored.model.config
    assert again.tokenizer == stored.tokenizer.to_artifacts()
    for name, value in stored.checkpoint.parameters.items():
        assert again.parameters[name].tobytes() == value.tobytes()
    tokens = [[0, 1, 2, 3]]
    np.testing.assert_array_equal(
        logits_of(again.model, again.parameters, tokens),
        logits_of(stored.model, stored.checkpoint.parameters, tokens),
    )


def test_the_data_begin_where_arrays_of_any_type_may(make: Make, tmp_path: Path) -> None:
    write_alpha_safetensors(tmp_path / "model.safetensors", make())
    data = (tmp_path / "model.safetensors").read_bytes()
    assert struct.unpack_from("<Q", data)[0] % 8 == 0
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize(
    ("dtype", "values"), [("F64", [1 / 3, -2.0]), ("F32", [1.5, -2.0]), ("F16", [1.5, -2.0]), ("BF16", [1.5, -2.0])]
)
def test_floats_of_every_width_are_read(dtype: str, values: list[float], tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    data = {
        "F64": np.array(values, "<f8").tobytes(),
        "F32": np.array(values, "<f4").tobytes(),
        "F16": np.array(values, "<f2").tobytes(),
        "BF16": (np.array(values, "<f4").view(np.uint32) >> 16).astype("<u2").tobytes(),
    }[dtype]
    path.write_bytes(safetensors_bytes({"x": entry(offsets=(0, len(data)), dtype=dtype)}, data))
    np.testing.assert_array_equal(open_safetensors(path).read("x"), np.array(values, np.float32))


def test_a_file_of_transformers_is_read_as_numpy_would(tmp_path: Path) -> None:
    path = DATA / "llama" / "model.safetensors"
    file, data = open_safetensors(path), path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    for name, row in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = row["data_offsets"]
            expected = np.frombuffer(data[8 + length + begin : 8 + length + end], "<f4").reshape(row["shape"])
            np.testing.assert_array_equal(file.read(name), expected)
            assert file.shape(name) == tuple(row["shape"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it has 0 bytes"),
        (b"1234567", "it has 7 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "its header should have 9223372036854775808 bytes"),
        (struct.pack("<Q", 3) + b"{}", "its header should have 3 bytes"),
        (safetensors_bytes(b"[]"), "does not begin with"),
        (safetensors_bytes(b'{"a"'), "no valid JSON"),
        (safetensors_bytes(b"{" + b'"a":{' * 100_000), "no valid JSON"),
        (safetensors_bytes(b'{"a": 1, "a": 2}'), "stands twice"),
        (safetensors_bytes({"__metadata__": {"a": 1}}), "no object of texts"),
        (safetensors_bytes({"x": 1}), "has no `dtype`"),
        (safetensors_bytes({"": entry()}), "has no name"),
        (safetensors_bytes({"x": {**entry(), "more": 1}}, bytes(8)), "or more than these"),
        (safetensors_bytes({"x": entry(dtype="F4")}, bytes(8)), "unknown dtype"),
        (safetensors_bytes({"x": entry(dtype=["F32"])}, bytes(8)), "unknown dtype"),
        (safetensors_bytes({"x": entry(shape=[-2])}, bytes(8)), "no list of lengths"),
        (safetensors_bytes({"x": entry(shape=[True, 2])}, bytes(8)), "no list of lengths"),
        (safetensors_bytes({"x": entry(shape=[2**50, 2**50])}, bytes(8)), "do not fit its shape"),
        (safetensors_bytes({"x": entry(shape=[0, 2**50, 2**50], offsets=(0, 0))}), "do not fit its shape"),
        (safetensors_bytes({"x": entry(offsets=(8, 0))}, bytes(8)), "do not fit its shape"),
        (safetensors_bytes({"x": entry(offsets=(0, 4))}, bytes(4)), "do not fit its shape"),
        (safetensors_bytes({"x": entry(offsets=(0,))}, bytes(8)), "no two places"),
        (safetensors_bytes({"x": entry(offsets=(4, 12))}, bytes(12)), "does not begin where"),
        (safetensors_bytes({"x": entry(), "y": entry(offsets=(4, 12))}, bytes(12)), "does not begin where"),
        (safetensors_bytes({"x": entry()}, bytes(9)), "9 bytes instead of|bytes instead of"),
        (safetensors_bytes({"x": entry()}, bytes(7)), "bytes instead of"),
    ],
)
def test_damage_is_refused_with_the_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=reason) as caught:
        open_safetensors(path)
    assert "\n" not in caught.value.message


def test_integers_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes({"x": entry(dtype="I32")}, bytes(8)))
    with pytest.raises(CheckpointError, match="of dtype `I32`, and holds no weights"):
        open_safetensors(path).read("x")


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        (None, "holds no model of Alpha"),
        ("{", "no valid JSON"),
        ("[]", "has no `formatVersion` 1"),
        ('{"formatVersion": 2}', "has no `formatVersion` 1"),
        ('{"formatVersion": 1, "model": []}', "lacks `model` or `tokenizer`"),
        ('{"formatVersion": 1, "model": {"n_layer": 0}, "tokenizer": {}}', "`n_layer` = `0`"),
        ('{"formatVersion": 1, "model": {"n_layer": 99}, "tokenizer": {}, "activation": 1}', "stored as an object"),
        (
            '{"formatVersion": 1, "model": {"n_layer": 99}, "tokenizer": {}, '
            '"activation": {"gated": false, "expression": ["input"]}}',
            "speaks of 99 layers|is stored|expression",
        ),
    ],
)
def test_a_file_that_is_no_model_of_alpha_is_refused(about: str | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {"x": np.zeros(2, np.float32)}, {} if about is None else {"alpha": about})
    with pytest.raises(CheckpointError, match=reason):
        read_alpha_safetensors(path)


def test_a_tensor_too_many_or_too_few_is_named(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_alpha_safetensors(path, make())
    whole = open_safetensors(path)
    tensors = {name: whole.read(name) for name in whole.names}
    write_safetensors(path, {**tensors, "more": np.zeros(1, np.float32)}, whole.metadata)
    with pytest.raises(CheckpointError, match="has a tensor `more`, for which its model has no use"):
        read_alpha_safetensors(path)
    write_safetensors(path, {name: tensors[name] for name in whole.names if name != "lnF.bias"}, whole.metadata)
    with pytest.raises(CheckpointError, match=r"parameter `lnF.bias` of Alpha, with shape \[16\], is missing"):
        read_alpha_safetensors(path)
