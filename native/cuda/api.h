// The border between the addon and libcoregain_cuda: one C symbol that gives a table of functions. The library is built
// by nvcc on its own and opened at run time (core/cuda_library.h), so that the addon needs neither CUDA nor a driver.
//
// Only plain numbers, pointers and the structs below cross it, and no exception. A call that fails says why in a
// CudaFailure. To add functions: append to the table, raise kCudaVersion.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coregain {

constexpr uint32_t kCudaVersion = 1;

enum class CudaCode : int32_t {
  kOk = 0,
  kUnavailable,  // no driver, a driver that is too old, no device
  kMemory,       // device or pinned host memory cannot be had; `bytes` says how much was asked for
  kCancelled,    // a callback said so
  kUnfit,        // the problem is not one for this device: the message says what to do instead
  kFailed,       // a CUDA call failed: the message names it
};

struct CudaFailure {
  CudaCode code = CudaCode::kOk;
  uint64_t bytes = 0;
  char message[512] = {};  // one sentence, or empty
};

struct CudaDevice {
  char name[256];
  uint64_t memory;    // bytes
  uint64_t l2_bytes;
  int32_t major, minor;  // compute capability
  int32_t multiprocessors;
  int32_t driver, runtime;  // 1000 major + 10 minor, of CUDA
};

struct CudaTable {
  // Must stay first, whatever else changes.
  uint32_t version;  // kCudaVersion
  uint32_t size;     // sizeof(CudaTable)

  // Writes at most `capacity` devices and how many there are to *count.
  CudaCode (*devices)(CudaDevice* out, int32_t capacity, int32_t* count, CudaFailure* failure);
};

}  // namespace coregain

// The only symbol that libcoregain_cuda exports.
extern "C" const coregain::CudaTable* coregain_cuda_table();
