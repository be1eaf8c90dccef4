#define COREGAIN_LANES 4
#define COREGAIN_KERNEL dot_neon
#define COREGAIN_NAME "neon"
#include "kernels/dot.inl"
