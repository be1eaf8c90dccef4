#define COREGAIN_LANES 4
#define COREGAIN_DISTANCES distances_scalar
#define COREGAIN_NAME "scalar"
#include "kernels/distances.inl"
