#define COREGAIN_LANES 4
#define COREGAIN_LAYOUT layout_scalar
#define COREGAIN_NAME "scalar"
#include "kernels/layout.inl"
