#define COREGAIN_LANES 2
#define COREGAIN_PAIRS pairs_neon
#define COREGAIN_NAME "neon"
#include "kernels/pairs.inl"
