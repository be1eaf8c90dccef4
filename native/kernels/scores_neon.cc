#define COREGAIN_DOUBLES 2
#define COREGAIN_SCORES scores_neon
#include "kernels/scores.inl"
