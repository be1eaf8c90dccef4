#define COREGAIN_LANES 4
#define COREGAIN_BLOCK 4
#define COREGAIN_PANEL panel_neon
#define COREGAIN_NAME "neon"
#include "kernels/panel.inl"
