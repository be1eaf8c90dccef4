// The greedy engine of the CUDA library: the functions of cuda/api.h.
#pragma once

#include "cuda/api.h"

namespace coregain::cuda {

CudaCode greedy_open(const CudaGreedyProblem* problem, void** engine, CudaFailure* failure);
CudaCode greedy_bin(void* engine, int64_t members, int32_t steps, const CudaGreedyCallbacks* callbacks,
                    CudaFailure* failure);
void greedy_report(const void* engine, CudaGreedyReport* report);
void greedy_close(void* engine);

}  // namespace coregain::cuda
