#define COREGAIN_DOUBLES 4
#define COREGAIN_VECTORS vectors_avx2
#include "kernels/vectors.inl"
