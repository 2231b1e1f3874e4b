"""Helios: trains on GPUs through Vulkan, with kernels in SPIR-V that are generated from Python."""

__all__: list[str] = []
__version__ = "0.1.0"
