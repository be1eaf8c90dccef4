#define COREGAIN_DOUBLES 8
#define COREGAIN_SCORES scores_avx512
#include "kernels/scores.inl"
