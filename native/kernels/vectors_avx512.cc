#define COREGAIN_DOUBLES 8
#define COREGAIN_VECTORS vectors_avx512
#include "kernels/vectors.inl"
