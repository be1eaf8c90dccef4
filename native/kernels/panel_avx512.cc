#define COREGAIN_LANES 16
#define COREGAIN_BLOCK 16
#define COREGAIN_PANEL panel_avx512
#define COREGAIN_NAME "avx512"
#include "kernels/panel.inl"
