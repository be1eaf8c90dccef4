#define COREGAIN_LANES 8
#define COREGAIN_KERNEL dot_avx2
#define COREGAIN_NAME "avx2"
#include "kernels/dot.inl"
