// Matrices and their products: functions of cuda/api.h.
#pragma once

#include "cuda/api.h"

namespace coregain::cuda {

CudaCode linear_open(int32_t device, uint64_t bytes, void** linear, CudaStages* stages, CudaFailure* failure);
void linear_close(void* linear);
CudaCode linear_free(void* linear, uint64_t* bytes, CudaFailure* failure);
CudaCode matrix_open(void* linear, int64_t rows, int64_t cols, int32_t is_double, void** matrix, CudaFailure* failure);
void matrix_close(void* matrix);
CudaCode matrix_clear(void* matrix, CudaFailure* failure);
CudaCode matrix_put(void* matrix, int64_t first, int64_t rows, int32_t stage, CudaFailure* failure);
CudaCode matrix_get(void* matrix, int64_t first, int64_t rows, int32_t stage, CudaFailure* failure);
CudaCode stage_wait(void* linear, int32_t stage, CudaFailure* failure);
CudaCode multiply(const CudaMultiply* problem, CudaFailure* failure);

}  // namespace coregain::cuda
