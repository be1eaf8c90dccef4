#define COREGAIN_LANES 16
#define COREGAIN_BLOCK 8
#define COREGAIN_GEMM gemm_avx512
#define COREGAIN_NAME "avx512"
#include "kernels/gemm.inl"
