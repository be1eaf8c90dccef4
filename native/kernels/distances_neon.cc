#define COREGAIN_LANES 4
#define COREGAIN_DISTANCES distances_neon
#define COREGAIN_NAME "neon"
#include "kernels/distances.inl"
