// Every CUDA call is checked, and its failure put into words.
#pragma once

#include <cuda_runtime.h>

#include <cstdio>

#include "cuda/api.h"

namespace coregain {

// kOk, or the failure of `call`, described. Takes the error off the runtime, so that the next call starts clean.
inline CudaCode checked(cudaError_t error, const char* call, CudaFailure* failure) {
  if (error == cudaSuccess) return CudaCode::kOk;
  static_cast<void>(cudaGetLastError());
  failure->code = error == cudaErrorMemoryAllocation                                              ? CudaCode::kMemory
                  : error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ? CudaCode::kUnavailable
                                                                                                  : CudaCode::kFailed;
  if (error == cudaErrorInsufficientDriver)
    std::snprintf(failure->message, sizeof failure->message,
                  "no NVIDIA driver is installed, or one that is older than CUDA %d.%d", CUDART_VERSION / 1000,
                  CUDART_VERSION % 1000 / 10);
  else if (error == cudaErrorNoDevice)
    std::snprintf(failure->message, sizeof failure->message, "the NVIDIA driver shows no device");
  else
    std::snprintf(failure->message, sizeof failure->message, "%s failed: %s (%s)", call, cudaGetErrorString(error),
                  cudaGetErrorName(error));
  return failure->code;
}

}  // namespace coregain
