#define COREGAIN_LANES 4
#define COREGAIN_KERNEL dot_scalar
#define COREGAIN_NAME "scalar"
#include "kernels/dot.inl"
