#define COREGAIN_LANES 4
#define COREGAIN_PAIRS pairs_avx2
#define COREGAIN_NAME "avx2"
#include "kernels/pairs.inl"
