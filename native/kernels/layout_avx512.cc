#define COREGAIN_LANES 16
#define COREGAIN_LAYOUT layout_avx512
#define COREGAIN_NAME "avx512"
#include "kernels/layout.inl"
