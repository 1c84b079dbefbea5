"""How kernels are compiled: decorators, arrays and tuples inside compiled code, vectors of LLVM, exp and its kin."""
