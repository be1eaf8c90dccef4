// The pairwise kernels of the CUDA library: functions of cuda/api.h.
#pragma once

#include "cuda/api.h"

namespace coregain::cuda {

CudaCode points_open(const CudaPointsProblem* problem, void** points, CudaFailure* failure);
void points_close(void* points);
CudaCode points_distances(void* points, const int32_t* queries, int64_t query_count, const int32_t* rows,
                          int64_t row_count, float* out, const int32_t* cancel, CudaFailure* failure);
CudaCode points_best(void* queries, void* rows, int64_t first, int32_t count, int32_t keep, int32_t* out_rows,
                     float* out_squares, const int32_t* cancel, CudaFailure* failure);
CudaCode points_products(void* points, const void* terms, const double* scales, int32_t count, double* out,
                         CudaFailure* failure);
CudaCode points_coverage(void* points, const int32_t* candidates, int64_t count, const float* reached, double* out,
                         const int32_t* cancel, CudaFailure* failure);
CudaCode points_centres(void* points, const int32_t* centres, int64_t count, float* nearest, const int32_t* cancel,
                        CudaFailure* failure);

}  // namespace coregain::cuda
