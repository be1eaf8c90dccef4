#define COREGAIN_DOUBLES 2
#define COREGAIN_SCORES scores_scalar
#include "kernels/scores.inl"
