#define COREGAIN_LANES 4
#define COREGAIN_BLOCK 2
#define COREGAIN_PANEL panel_scalar
#define COREGAIN_NAME "scalar"
#include "kernels/panel.inl"
