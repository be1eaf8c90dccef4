// libcoregain_cuda: what it exports, and which devices there are.
#include <cstdio>

#include "cuda/api.h"
#include "cuda/greedy.h"
#include "cuda/runtime.h"

namespace coregain {
namespace {

CudaCode devices(CudaDevice* out, int32_t capacity, int32_t* count, CudaFailure* failure) {
  return cuda::guarded(failure, [&] {
    *count = 0;
    int found = 0, driver = 0, runtime = 0;
    cuda::check(cudaGetDeviceCount(&found), "cudaGetDeviceCount");
    cuda::check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    cuda::check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    for (; *count < found && *count < capacity; ++*count) {
      cudaDeviceProp properties{};
      cuda::check(cudaGetDeviceProperties(&properties, *count), "cudaGetDeviceProperties");
      CudaDevice& device = out[*count];
      device = CudaDevice();
      std::snprintf(device.name, sizeof device.name, "%s", properties.name);
      device.memory = properties.totalGlobalMem;
      device.l2_bytes = static_cast<uint64_t>(properties.l2CacheSize);
      device.major = properties.major;
      device.minor = properties.minor;
      device.multiprocessors = properties.multiProcessorCount;
      device.driver = driver;
      device.runtime = runtime;
    }
  });
}

constexpr CudaTable kTable = {
    .version = kCudaVersion,
    .size = sizeof(CudaTable),
    .devices = devices,
    .greedy_open = cuda::greedy_open,
    .greedy_bin = cuda::greedy_bin,
    .greedy_report = cuda::greedy_report,
    .greedy_close = cuda::greedy_close,
};

}  // namespace
}  // namespace coregain

extern "C" __attribute__((visibility("default"))) const coregain::CudaTable* coregain_cuda_table() {
  return &coregain::kTable;
}
