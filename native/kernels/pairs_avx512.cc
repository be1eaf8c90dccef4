#define COREGAIN_LANES 8
#define COREGAIN_PAIRS pairs_avx512
#define COREGAIN_NAME "avx512"
#include "kernels/pairs.inl"
