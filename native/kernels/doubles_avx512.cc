#define COREGAIN_LANES 8
#define COREGAIN_DOUBLES doubles_avx512
#define COREGAIN_NAME "avx512"
#include "kernels/doubles.inl"
