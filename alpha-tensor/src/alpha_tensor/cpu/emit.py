"""LLVM IR to machine code. Run as a program, which imports nothing else of Alpha, this file is a helper of `build`."""

import sys
from typing import IO, Any

import llvmlite.binding as llvm

__all__ = ["emit_object", "initialize", "read_block", "serve", "target_machine", "write_block"]

_LENGTH_BYTES = 8


def initialize() -> None:
    """Readies LLVM for this machine's kind of processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def target_machine(cpu: str, features: str) -> Any:
    """Returns what generates code for a processor."""
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic")


def emit_object(text: str, cpu: str, features: str) -> bytes:
    """Compiles a module to an object file."""
    with llvm.create_context() as context, llvm.parse_assembly(text, context) as module:
        machine = target_machine(cpu, features)
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        # Kernels say themselves what is a vector and what is unrolled.
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        return bytes(machine.emit_object(module))


def write_block(stream: IO[bytes], block: bytes) -> None:
    """Writes bytes behind their number."""
    stream.write(len(block).to_bytes(_LENGTH_BYTES, "little") + block)
    stream.flush()


def read_block(stream: IO[bytes]) -> bytes | None:
    """Returns what `write_block` wrote; None where the stream ends."""
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "little")
    block = stream.read(length)
    return block if len(head) == _LENGTH_BYTES and len(block) == length else None


def serve(requests: IO[bytes], results: IO[bytes], cpu: str, features: str) -> None:
    """Compiles one module after the other, until requests end."""
    initialize()
    while (text := read_block(requests)) is not None:
        write_block(results, emit_object(text.decode(), cpu, features))


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, *sys.argv[-2:])
