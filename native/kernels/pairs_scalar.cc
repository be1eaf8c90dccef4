#define COREGAIN_LANES 2
#define COREGAIN_PAIRS pairs_scalar
#define COREGAIN_NAME "scalar"
#include "kernels/pairs.inl"
