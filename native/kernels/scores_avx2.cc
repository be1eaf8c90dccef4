#define COREGAIN_DOUBLES 4
#define COREGAIN_SCORES scores_avx2
#include "kernels/scores.inl"
