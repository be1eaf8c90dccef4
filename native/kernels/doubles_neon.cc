#define COREGAIN_LANES 2
#define COREGAIN_DOUBLES doubles_neon
#define COREGAIN_NAME "neon"
#include "kernels/doubles.inl"
