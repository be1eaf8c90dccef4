#define COREGAIN_LANES 8
#define COREGAIN_LAYOUT layout_avx2
#define COREGAIN_NAME "avx2"
#include "kernels/layout.inl"
