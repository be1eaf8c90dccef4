// libcoregain_cuda: what it exports, and which devices there are.
#include <cstdio>
#include <cstring>

#include "cuda/api.h"
#include "cuda/runtime.h"

namespace coregain {
namespace {

CudaCode devices(CudaDevice* out, int32_t capacity, int32_t* count, CudaFailure* failure) {
  *count = 0;
  int found = 0, driver = 0, runtime = 0;
  if (const CudaCode code = checked(cudaGetDeviceCount(&found), "cudaGetDeviceCount", failure); code != CudaCode::kOk)
    return code;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || cudaRuntimeGetVersion(&runtime) != cudaSuccess)
    return checked(cudaGetLastError(), "cudaDriverGetVersion", failure);
  for (int i = 0; i < found && i < capacity; ++i) {
    cudaDeviceProp properties{};
    if (const CudaCode code = checked(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties", failure);
        code != CudaCode::kOk)
      return code;
    CudaDevice& device = out[i];
    std::memset(&device, 0, sizeof device);
    std::snprintf(device.name, sizeof device.name, "%s", properties.name);
    device.memory = properties.totalGlobalMem;
    device.l2_bytes = static_cast<uint64_t>(properties.l2CacheSize);
    device.major = properties.major;
    device.minor = properties.minor;
    device.multiprocessors = properties.multiProcessorCount;
    device.driver = driver;
    device.runtime = runtime;
    ++*count;
  }
  return CudaCode::kOk;
}

constexpr CudaTable kTable = {
    .version = kCudaVersion,
    .size = sizeof(CudaTable),
    .devices = devices,
};

}  // namespace
}  // namespace coregain

extern "C" __attribute__((visibility("default"))) const coregain::CudaTable* coregain_cuda_table() {
  return &coregain::kTable;
}
