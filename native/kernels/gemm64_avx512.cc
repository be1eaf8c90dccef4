#define COREGAIN_LANES 8
#define COREGAIN_BLOCK 8
#define COREGAIN_GEMM64 gemm64_avx512
#define COREGAIN_NAME "avx512"
#include "kernels/gemm64.inl"
