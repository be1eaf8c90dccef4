#define COREGAIN_LANES 16
#define COREGAIN_KERNEL dot_avx512
#define COREGAIN_NAME "avx512"
#include "kernels/dot.inl"
