#define COREGAIN_LANES 2
#define COREGAIN_BLOCK 8
#define COREGAIN_GEMM64 gemm64_neon
#define COREGAIN_NAME "neon"
#include "kernels/gemm64.inl"
