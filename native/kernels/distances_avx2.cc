#define COREGAIN_LANES 8
#define COREGAIN_DISTANCES distances_avx2
#define COREGAIN_NAME "avx2"
#include "kernels/distances.inl"
