// CUDA on the processor, for tests: the few functions of the run-time library that cuda/runtime.h calls, and launches.
// A block's threads take turns, phase by phase (cuda/block.h), so a block is one thread; blocks that wait for each
// other run side by side as threads of this process. Device memory is host memory, with a limit that tests set.
//
// What this cannot show: a missing barrier or __syncwarp within a block, the order in which a real device sees the
// writes of another block, copies that are still under way, occupancy, and time.
#pragma once

#include <atomic>
#include <cstddef>
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

// What the emulated device is like; tests change it.
struct Emulated {
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
