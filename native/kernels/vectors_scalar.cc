#define COREGAIN_DOUBLES 2
#define COREGAIN_VECTORS vectors_scalar
#include "kernels/vectors.inl"
