#define COREGAIN_LANES 2
#define COREGAIN_DOUBLES doubles_scalar
#define COREGAIN_NAME "scalar"
#include "kernels/doubles.inl"
