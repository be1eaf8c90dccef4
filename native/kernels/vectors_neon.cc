#define COREGAIN_DOUBLES 2
#define COREGAIN_VECTORS vectors_neon
#include "kernels/vectors.inl"
