// libcoregain_cuda: what it exports, which devices there are, and how fast they copy.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "cuda/api.h"
#include "cuda/greedy.h"
#include "cuda/linear.h"
#include "cuda/pairwise.h"
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
    bool usable = false;
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
      usable = usable || device.major >= cuda::kLeastMajor;
    }
    if (*count > 0 && !usable)
      cuda::fail(CudaCode::kUnavailable, "kernels need the compute capability 8.0, and no device has it");
  });
}

CudaCode copy_rate(int32_t device, double* bytes_per_second, CudaFailure* failure) {
  return cuda::guarded(failure, [&] {
    constexpr int kRounds = 5, kCopies = 20;  // copies of a round: starting them is no part of the rate
    cuda::use_device(device);
    size_t free = 0, all = 0;
    cuda::check(cudaMemGetInfo(&free, &all), "cudaMemGetInfo");
    // more than any L2 cache holds
    const size_t bytes = std::min(size_t{1} << 30, free / 4);
    const cuda::Array<char> from(bytes, cuda::Place::kDevice), to(bytes, cuda::Place::kDevice);
    const cuda::Stream stream;
    stream.clear(from.data(), bytes);
    stream.copy(to.data(), from.data(), bytes);
    stream.wait();
    *bytes_per_second = 0;
    for (int round = 0; round < kRounds; ++round) {
      const auto start = std::chrono::steady_clock::now();
      for (int copy = 0; copy < kCopies; ++copy) stream.copy(to.data(), from.data(), bytes);
      stream.wait();
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      *bytes_per_second = std::max(*bytes_per_second, 2.0 * kCopies * static_cast<double>(bytes) / seconds.count());
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
    .points_open = cuda::points_open,
    .points_close = cuda::points_close,
    .points_distances = cuda::points_distances,
    .points_best = cuda::points_best,
    .points_products = cuda::points_products,
    .points_coverage = cuda::points_coverage,
    .points_centres = cuda::points_centres,
    .linear_open = cuda::linear_open,
    .linear_close = cuda::linear_close,
    .linear_free = cuda::linear_free,
    .matrix_open = cuda::matrix_open,
    .matrix_close = cuda::matrix_close,
    .matrix_clear = cuda::matrix_clear,
    .matrix_put = cuda::matrix_put,
    .matrix_get = cuda::matrix_get,
    .stage_wait = cuda::stage_wait,
    .multiply = cuda::multiply,
    .copy_rate = copy_rate,
};

}  // namespace
}  // namespace coregain

extern "C" __attribute__((visibility("default"))) const coregain::CudaTable* coregain_cuda_table() {
  return &coregain::kTable;
}
