#define COREGAIN_LANES 8
#define COREGAIN_BLOCK 4
#define COREGAIN_GEMM gemm_avx2
#define COREGAIN_NAME "avx2"
#include "kernels/gemm.inl"
