#define COREGAIN_LANES 4
#define COREGAIN_DOUBLES doubles_avx2
#define COREGAIN_NAME "avx2"
#include "kernels/doubles.inl"
