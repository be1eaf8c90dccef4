#define COREGAIN_LANES 4
#define COREGAIN_BLOCK 4
#define COREGAIN_GEMM64 gemm64_avx2
#define COREGAIN_NAME "avx2"
#include "kernels/gemm64.inl"
