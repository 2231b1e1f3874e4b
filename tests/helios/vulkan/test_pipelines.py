"""Kernels on their way to the device."""

import attrs
import numpy as np
import pytest
from tests.helios.vulkan.kernels import add_kernel, groups, push

from alpha_core.errors import BackendError
from alpha_helios.spirv.disassemble import decode
from alpha_helios.spirv.kernel import Kernel as Builder
from alpha_helios.vulkan import pipelines
from alpha_helios.vulkan.null_device import NULL_MINIMUM, NullDevice
from alpha_helios.vulkan.pipelines import Kernel, with_loops


def test_a_kernel_is_compiled_once(device):
    before = device.pipelines.compiled
    first = device.prepare([add_kernel(2.0, "once"), add_kernel(2.0, "once")])
    assert device.prepare([add_kernel(2.0, "once")])[0] is first[0] is first[1]
    assert device.pipelines.compiled == before + 1


def test_many_kernels_are_compiled_together_and_each_does_its_own(device):
    amounts = [10.0 + number for number in range(12)]
    pipelines = device.prepare([add_kernel(amount, f"add {amount}") for amount in amounts])
    with device.memory.allocate(4 * 100) as place:
        for amount, pipeline in zip(amounts, pipelines, strict=True):
            device.staging.upload(place, np.arange(100, dtype=np.float32))
            commands = device.record("adding")
            commands.dispatch(pipeline, push(place, 100), groups(100))
            device.submit(commands)
            assert np.array_equal(np.frombuffer(device.staging.download(place), np.float32), np.arange(100) + amount)


def test_a_device_that_computes_on_the_processor_is_asked_to_keep_loops(device, monkeypatch):
    k = Builder((8, 1, 1))
    target = k.pointer()
    for unroll in (None, True, False):
        with k.range_(0, 4, unroll=unroll) as index:
            target[index] = 1.0
    code = k.finish().code

    def wishes(code):
        return [instruction.operands[2][1] for instruction in decode(code) if instruction.name == "LoopMerge"]

    assert wishes(code) == [0, 1, 2]
    kept = with_loops(code)
    assert wishes(kept) == [2, 1, 2]  # `DontUnroll` where nothing was wished
    changed = [place for place in range(0, len(code), 4) if code[place : place + 4] != kept[place : place + 4]]
    assert len(changed) == 1
    for end in range(20, len(code) + 4, 4):  # what is cut off is for the driver to refuse
        assert len(with_loops(code[:end])) == end
    asked = []
    monkeypatch.setattr(pipelines, "with_loops", lambda code: asked.append(code) or with_loops(code))
    device.prepare([add_kernel(77.0)])
    assert bool(asked) == device.info.software


def test_what_a_device_lacks_is_named_with_the_kernel():
    kernel = attrs.evolve(add_kernel(), requirements=frozenset({"shaderInt64", "shaderFloat16", "cooperativeMatrix"}))
    lacking = "kernel `add` requires `cooperativeMatrix`, `shaderFloat16`, which `null, minimum` does not have"
    with NullDevice(NULL_MINIMUM) as device:
        with pytest.raises(BackendError) as caught:
            device.prepare([kernel])
        assert caught.value.message == lacking
        with pytest.raises(BackendError, match="requires `shaderFloat15`, which is no known feature") as caught:
            device.compile(add_kernel().words, "add", {"shaderFloat15"})
        assert caught.value.hint == "did you mean `shaderFloat16`?"


def test_what_the_assembler_requires_is_known_here():
    """Every feature that a capability of the assembler needs has a row in the table of features."""
    from alpha_helios.spirv.opcodes import CAPABILITIES
    from alpha_helios.vulkan.features import FEATURES

    assert {row.requirement for row in CAPABILITIES.values() if row.requirement} <= FEATURES
    k = Builder((64, 1, 1))
    k.preserve_nan()
    k.round_to_nearest(16)
    k.flush_denormals()
    k.preserve_denormals()
    assert k.finish().requirements <= FEATURES


def newer(words: bytes) -> bytes:
    """Returns a module that says that it is SPIR-V 1.9."""
    return words[:4] + bytes([0, 9, 1, 0]) + words[8:]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"words": b""}, "kernel `add` is no module of SPIR-V"),
        ({"words": b"not SPIR-V at all, but words"}, "kernel `add` is no module of SPIR-V"),
        ({"words": add_kernel().words[:-1]}, "kernel `add` is no module of SPIR-V"),
        ({"push_bytes": 10_000}, "kernel `add` has 10000 bytes of push constants; a multiple of 4 up to"),
        ({"push_bytes": 6}, "kernel `add` has 6 bytes of push constants"),
        ({"subgroup_size": 7}, "kernel `add` needs subgroups of 7; those of"),
        (
            {"words": add_kernel().words[:4] + bytes([0, 9, 1, 0]) + add_kernel().words[8:]},
            r"kernel `add` is SPIR-V 1\.9",
        ),
    ],
)
def test_a_module_that_cannot_be_compiled_is_refused(device, changes, problem):
    with pytest.raises(BackendError, match=problem):
        device.prepare([attrs.evolve(add_kernel(), **changes)])


def test_the_subgroup_size_of_the_device_can_be_asked_for(device):
    kernel = attrs.evolve(add_kernel(), subgroup_size=device.info.subgroup_size)
    assert device.prepare([kernel])[0].push_bytes == kernel.push_bytes


def test_specialization_constants_change_what_is_compiled(device):
    """The constant with `SpecId` 0 is the amount that is added."""
    kernel = add_kernel(1.0)
    words = np.frombuffer(kernel.words, np.uint32).tolist()
    # Instructions begin at word 5, each with its length in the upper half of its first word.
    at, one = 5, int(np.float32(1.0).view(np.uint32))
    while not (words[at] & 0xFFFF == 43 and words[at + 3] == one):  # OpConstant
        at += words[at] >> 16
    words[at] = 4 << 16 | 50  # OpSpecConstant
    decoration = [4 << 16 | 71, words[at + 2], 1, 0]  # OpDecorate SpecId 0
    first = 5
    while words[first] & 0xFFFF != 71:
        first += words[first] >> 16
    code = np.array([*words[:first], *decoration, *words[first:]], np.uint32).tobytes()
    variants = [
        Kernel(
            name="add",
            words=code,
            requirements=kernel.requirements,
            push_bytes=kernel.push_bytes,
            specialization=specialization,
        )
        for specialization in ({}, {0: 5.0}, {0: -2.5})
    ]
    pipelines = device.prepare(variants)
    with device.memory.allocate(4) as place:
        device.staging.upload(place, np.zeros(1, np.float32))
        commands = device.record("adding")
        for pipeline in pipelines:
            commands.dispatch(pipeline, push(place, 1), (1, 1, 1))
            commands.barrier()
        device.submit(commands)
        assert np.frombuffer(device.staging.download(place), np.float32)[0] == 1.0 + 5.0 - 2.5
