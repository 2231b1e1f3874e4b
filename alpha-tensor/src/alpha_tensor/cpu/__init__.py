"""The fast CPU backend: steps recorded as native code, with kernels that are generated from Python through LLVM."""
