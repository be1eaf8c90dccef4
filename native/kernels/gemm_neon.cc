#define COREGAIN_LANES 4
#define COREGAIN_BLOCK 8
#define COREGAIN_GEMM gemm_neon
#define COREGAIN_NAME "neon"
#include "kernels/gemm.inl"
