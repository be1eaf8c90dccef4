// CUDA on the processor, for tests: the few functions of the run-time library that cuda/runtime.h calls, and launches.
// A block's threads take turns, phase by phase (cuda/block.h), so a block is one thread; blocks that wait for each
// other run side by side as threads of this process. Device memory is host memory, with a limit that tests set.
//
// What this cannot show: a missing barrier or __syncwarp within a block, the order in which a real device sees the
// writes of another block, copies that are still under way, occupancy, and time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#define CUDART_VERSION 13000

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719
};
using cudaStream_t = void*;
constexpr unsigned cudaHostAllocMapped = 2, cudaHostRegisterMapped = 2, cudaHostRegisterReadOnly = 8;
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr int cudaMemcpyDefault = 4;

namespace coregain::cuda {

// How a tensor core adds products of numbers of few bits to a float32 sum, as published measurements have it
// (docs/kernels.md): step by step, a few products and the sum so far, each aligned to the largest exponent and cut off
// behind `fraction` bits, added exactly, the result cut off to float32.
struct TensorUnit {
  unsigned terms = 4;  // products of a step
  int fraction = 23;
};

// The exponent that numbers are aligned by: subnormals and zero count as the least normal number.
inline int alignment(float x) {
  uint32_t word = 0;
  std::memcpy(&word, &x, 4);
  const int exponent = static_cast<int>(word >> 23 & 255);
  return (exponent == 0 ? 1 : exponent) - 127;
}
inline double power_of_two(int exponent) {
  const uint64_t word = static_cast<uint64_t>(exponent + 1023) << 52;
  double value = 0;
  std::memcpy(&value, &word, 8);
  return value;
}
// The float32 number next to `value` on the side of zero.
inline float cut_off(double value) {
  const auto nearest = static_cast<float>(value);
  uint32_t word = 0;
  std::memcpy(&word, &nearest, 4);
  const double difference = static_cast<double>(nearest) - value;
  if ((value > 0 && difference > 0) || (value < 0 && difference < 0)) --word;
  float cut = 0;
  std::memcpy(&cut, &word, 4);
  return cut;
}
// sum + a[0] b[0] + ... + a[count - 1] b[count - 1]
inline float multiply_add(const TensorUnit& unit, float sum, const float* a, const float* b, unsigned count) {
  for (unsigned from = 0; from < count; from += unit.terms) {
    const unsigned end = from + unit.terms < count ? from + unit.terms : count;
    int top = alignment(sum);
    for (unsigned k = from; k < end; ++k) {
      const int exponent = alignment(a[k]) + alignment(b[k]);
      top = exponent > top ? exponent : top;
    }
    const double scale = power_of_two(unit.fraction - top);
    const auto cut = [&](double x) { return static_cast<int64_t>(x * scale); };
    int64_t total = cut(static_cast<double>(sum));
    for (unsigned k = from; k < end; ++k) total += cut(static_cast<double>(a[k]) * static_cast<double>(b[k]));
    sum = cut_off(static_cast<double>(total) / scale);
  }
  return sum;
}

// What the emulated device is like; tests change it.
struct Emulated {
  TensorUnit tensor;
  size_t memory = size_t{1} << 30;  // bytes of the device
  size_t used = 0, most_used = 0, launches = 0;
  unsigned multiprocessors = 3;
  std::map<void*, size_t> sizes;
  std::mutex mutex;
};
inline Emulated& emulated() {
  static Emulated device;
  return device;
}

}  // namespace coregain::cuda

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int l2CacheSize, major, minor, multiProcessorCount;
};

inline const char* cudaGetErrorString(cudaError_t) {
  return "emulated error";
}
inline const char* cudaGetErrorName(cudaError_t) {
  return "cudaError";
}
inline cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) {
  return cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated", coregain::cuda::emulated().memory,
                 1 << 20,    8,
                 0,          static_cast<int>(coregain::cuda::emulated().multiprocessors)};
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard lock(coregain::cuda::emulated().mutex);
  *total = coregain::cuda::emulated().memory;
  *free = *total - coregain::cuda::emulated().used;
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** data, size_t bytes) {
  coregain::cuda::Emulated& device = coregain::cuda::emulated();
  const std::lock_guard lock(device.mutex);
  if (device.used + bytes > device.memory) return cudaErrorMemoryAllocation;
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*data == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*data, 0xee, bytes);  // device memory is not cleared
  device.sizes[*data] = bytes;
  device.used += bytes;
  device.most_used = device.used > device.most_used ? device.used : device.most_used;
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* data) {
  coregain::cuda::Emulated& device = coregain::cuda::emulated();
  const std::lock_guard lock(device.mutex);
  device.used -= device.sizes[data];
  device.sizes.erase(data);
  std::free(data);
  return cudaSuccess;
}
inline cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*data == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*data, 0xee, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}
inline cudaError_t cudaHostRegister(void*, size_t, unsigned) {
  return cudaSuccess;
}
inline cudaError_t cudaHostUnregister(void*) {
  return cudaSuccess;
}
inline cudaError_t cudaHostGetDevicePointer(void** pointer, void* data, unsigned) {
  *pointer = data;
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = &coregain::cuda::emulated();
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) {
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return cudaSuccess;
}
inline cudaError_t cudaStreamQuery(cudaStream_t) {
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, int, cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t) {
  std::memset(data, value, bytes);
  return cudaSuccess;
}

namespace coregain::cuda {

// Runs a kernel (cuda/block.h) and returns when it has ended.
template <typename Block, typename Kernel>
void emulate_as(unsigned blocks, unsigned threads, size_t shared, bool together, const Kernel& kernel) {
  ++emulated().launches;
  const auto run = [&](unsigned index) {
    // exactly as large as the launch says, so that the address sanitizer sees a kernel that takes more
    const std::unique_ptr<char, decltype(&std::free)> memory(
        static_cast<char*>(std::aligned_alloc(16, (shared + 15) / 16 * 16 + 16)), &std::free);
    std::memset(memory.get(), 0xee, shared);
    Block block(index, blocks, threads, memory.get());
    kernel(block);
  };
  if (!together) {
    for (unsigned index = 0; index < blocks; ++index) run(index);
    return;
  }
  std::vector<std::thread> running;
  for (unsigned index = 1; index < blocks; ++index) running.emplace_back(run, index);
  run(0);
  for (std::thread& thread : running) thread.join();
}

}  // namespace coregain::cuda

// cuda/runtime.h knows Block.
#define emulate emulate_as<Block>
