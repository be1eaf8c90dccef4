#define COREGAIN_LANES 4
#define COREGAIN_LAYOUT layout_neon
#define COREGAIN_NAME "neon"
#include "kernels/layout.inl"
