// Finds libcoregain_cuda at run time.
#pragma once

#include <string>
#include <vector>

#include "core/error.h"
#include "cuda/api.h"

namespace coregain {

struct CudaSupport {
  const CudaTable* table = nullptr;  // null where CUDA cannot be used
  std::string reason;                // why not, a clause without a capital and a stop; empty where it can
  std::string path;                  // of the library that was looked at
  std::vector<CudaDevice> devices;   // at least one where there is a table
};

// What this process can use: looks once, beside the file that this code is in (the addon, or a test). Opening the
// library takes some tenths of a second where there is a driver.
const CudaSupport& cuda_support();

// The same for a library at `path`, which stays open for ever: CUDA cannot be unloaded safely.
CudaSupport open_cuda_library(const std::string& path);

// What to throw for a call of the library that failed: ERR_MEMORY or ERR_DEVICE, with its words and a cure.
Error cuda_error(CudaCode code, const CudaFailure& failure);

}  // namespace coregain
