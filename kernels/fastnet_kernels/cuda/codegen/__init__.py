"""How CUDA kernels are compiled and launched: decorators, arrays on the GPU, and what only LLVM can say."""
