#define COREGAIN_LANES 16
#define COREGAIN_DISTANCES distances_avx512
#define COREGAIN_NAME "avx512"
#include "kernels/distances.inl"
