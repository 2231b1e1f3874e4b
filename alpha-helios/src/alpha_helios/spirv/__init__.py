"""An assembler of SPIR-V compute kernels in Python: typed values, structured control flow, no shader text."""
