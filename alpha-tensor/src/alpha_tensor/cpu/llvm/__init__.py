"""A small assembler of LLVM IR: typed values with Python's operators, structured loops and branches."""
