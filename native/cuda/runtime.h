// The host's side of CUDA: every call checked, its failure put into words; memory that frees itself; launches.
//
// Inside the library a failure is an exception, Failed; the functions of cuda/api.h catch it (`guarded`).
#pragma once

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include "cuda_emulation.h"
#endif

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "cuda/api.h"
#include "cuda/block.h"
#include "cuda/text.h"

namespace coregain::cuda {

struct Failed {
  CudaFailure failure;
};

// ---- errors

[[noreturn]] inline void fail(CudaCode code, const std::string& message, uint64_t bytes = 0) {
  Failed failed;
  failed.failure.code = code;
  failed.failure.bytes = bytes;
  std::snprintf(failed.failure.message, sizeof failed.failure.message, "%s", message.c_str());
  throw failed;
}

// Throws unless `error` is success. Takes the error off the runtime, so that the next call starts clean.
inline void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  if (error == cudaErrorInsufficientDriver)
    fail(CudaCode::kUnavailable, "no NVIDIA driver is installed, or one that is older than CUDA " +
                                     std::to_string(CUDART_VERSION / 1000) + "." +
                                     std::to_string(CUDART_VERSION % 1000 / 10));
  if (error == cudaErrorNoDevice) fail(CudaCode::kUnavailable, "the NVIDIA driver shows no device");
  fail(error == cudaErrorMemoryAllocation ? CudaCode::kMemory : CudaCode::kFailed,
       std::string(call) + " failed: " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")");
}

// Runs `body` behind the border: what it throws ends up in *failure.
template <typename F>
CudaCode guarded(CudaFailure* failure, const F& body) {
  *failure = CudaFailure();
  try {
    body();
    return CudaCode::kOk;
  } catch (const Failed& failed) {
    *failure = failed.failure;
  } catch (const std::bad_alloc&) {
    failure->code = CudaCode::kMemory;
    std::snprintf(failure->message, sizeof failure->message, "the memory of this machine is used up");
  } catch (const std::exception& error) {
    failure->code = CudaCode::kFailed;
    std::snprintf(failure->message, sizeof failure->message, "%s", error.what());
  }
  return failure->code;
}

// ---- devices

// Makes a device that of the calling thread, which otherwise begins with the first one: whatever takes memory there,
// runs something or frees what it has comes after this.
inline void use_device(int32_t device) {
  check(cudaSetDevice(device), "cudaSetDevice");
}
// The same where nothing may be thrown.
inline void use_device_quietly(int32_t device) {
  static_cast<void>(cudaSetDevice(device));
}

// What the host's side goes by.
struct DeviceLimits {
  unsigned multiprocessors;
  size_t shared;  // bytes of shared memory that a block may have
  size_t l2_bytes;
  bool clusters;  // whether it has any, of whatever size
};

constexpr int kLeastMajor = 8;  // compute capability: CMAKE_CUDA_ARCHITECTURES

// Uses a device that there is machine code for. Throws kUnavailable.
inline DeviceLimits open_device(int32_t device) {
  use_device(device);
  const auto value = [&](cudaDeviceAttr attribute) {
    int found = 0;
    check(cudaDeviceGetAttribute(&found, attribute, device), "cudaDeviceGetAttribute");
    return found;
  };
  const int major = value(cudaDevAttrComputeCapabilityMajor);
  if (major < kLeastMajor)
    fail(CudaCode::kUnavailable, "cuda:" + std::to_string(device) + " is of compute capability " +
                                     std::to_string(major) + "." +
                                     std::to_string(value(cudaDevAttrComputeCapabilityMinor)) +
                                     ", and kernels need 8.0: use another device, or \"cpu\"");
  return {static_cast<unsigned>(value(cudaDevAttrMultiProcessorCount)),
          static_cast<size_t>(value(cudaDevAttrMaxSharedMemoryPerBlockOptin)),
          static_cast<size_t>(value(cudaDevAttrL2CacheSize)), value(cudaDevAttrClusterLaunch) != 0};
}

// ---- memory

enum class Place {
  kDevice,
  kPinned,  // host memory that kernels read over the bus
};

// What may still be taken on the current device, with some left to the driver.
inline size_t free_bytes() {
  constexpr size_t kDriver = size_t{64} << 20;
  size_t free = 0, all = 0;
  check(cudaMemGetInfo(&free, &all), "cudaMemGetInfo");
  return free > kDriver ? free - kDriver : 0;
}

// An array of plain numbers. Throws kMemory, with the bytes that were asked for.
template <typename T>
class Array {
 public:
  Array() = default;
  Array(size_t size, Place place) : size_(size), place_(place) {
    if (size == 0) return;
    const size_t bytes = size * sizeof(T);
    void* data = nullptr;
    const cudaError_t error =
        place == Place::kDevice ? cudaMalloc(&data, bytes) : cudaHostAlloc(&data, bytes, cudaHostAllocMapped);
    if (error == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());
      fail(CudaCode::kMemory,
           gigabytes(bytes) + (place == Place::kDevice ? " more of device memory" : " more of pinned host memory") +
               " cannot be had: use fewer rows, or the device \"cpu\"",
           bytes);
    }
    check(error, place == Place::kDevice ? "cudaMalloc" : "cudaHostAlloc");
    data_ = static_cast<T*>(data);
  }
  Array(Array&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), place_(other.place_) {}
  Array& operator=(Array&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(place_, other.place_);
    return *this;
  }
  ~Array() {
    if (data_ == nullptr) return;
    static_cast<void>(place_ == Place::kDevice ? cudaFree(data_) : cudaFreeHost(data_));
  }

  // For kernels; with unified addressing pinned memory has the same address on both sides.
  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
  Place place_ = Place::kDevice;
};

// The caller's memory pinned where it lies, so that kernels read it over the bus. It must be writable: to pin what is
// not (cudaHostRegisterReadOnly) is an error on devices that do not have cudaDevAttrHostRegisterReadOnlySupported.
class Pinned {
 public:
  Pinned() = default;
  Pinned(const void* data, size_t bytes) {
    const cudaError_t error = cudaHostRegister(const_cast<void*>(data), bytes, cudaHostRegisterMapped);
    if (error != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
      fail(CudaCode::kMemory,
           "the rows do not fit on the device, and the " + gigabytes(bytes) +
               " that they have here cannot be pinned for it (" + cudaGetErrorName(error) + "): use the device \"cpu\"",
           bytes);
    }
    data_ = const_cast<void*>(data);
  }
  Pinned(Pinned&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  Pinned& operator=(Pinned&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Pinned() {
    if (data_ != nullptr) static_cast<void>(cudaHostUnregister(data_));
  }
  const void* device() const {
    void* pointer = nullptr;
    check(cudaHostGetDevicePointer(&pointer, data_, 0), "cudaHostGetDevicePointer");
    return pointer;
  }

 private:
  void* data_ = nullptr;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() {
    if (stream_ == nullptr) return;
    static_cast<void>(cudaStreamSynchronize(stream_));
    static_cast<void>(cudaStreamDestroy(stream_));
  }

  cudaStream_t get() const { return stream_; }
  void wait() const { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }
  bool idle() const {
    const cudaError_t error = cudaStreamQuery(stream_);
    if (error == cudaErrorNotReady) {
      static_cast<void>(cudaGetLastError());
      return false;
    }
    check(error, "cudaStreamQuery");
    return true;
  }
  template <typename T>
  void copy(T* to, const T* from, size_t size) const {
    if (size > 0) check(cudaMemcpyAsync(to, from, size * sizeof(T), cudaMemcpyDefault, stream_), "cudaMemcpyAsync");
  }
  // All bytes 0.
  template <typename T>
  void clear(T* data, size_t size) const {
    if (size > 0) check(cudaMemsetAsync(data, 0, size * sizeof(T), stream_), "cudaMemsetAsync");
  }

 private:
  cudaStream_t stream_ = nullptr;
};

// ---- launches

struct Grid {
  unsigned blocks, threads;  // threads: a multiple of kWarp
  size_t shared = 0;         // bytes for each block
  bool together = false;     // all blocks run at once, so that they may wait for each other
};

// Throws unless a launch succeeded.
inline void check_launch(cudaError_t error, const Grid& grid) {
  if (error == cudaErrorCooperativeLaunchTooLarge) {
    static_cast<void>(cudaGetLastError());
    fail(CudaCode::kUnfit,
         "the device does not run " + std::to_string(grid.blocks) +
             " blocks at once, as where its multiprocessors are shared out among processes (MPS): use "
             "the device \"cpu\"");
  }
  check(error, grid.together ? "cudaLaunchCooperativeKernel" : "cudaLaunchKernel");
}

constexpr unsigned kPortableCluster = 8;  // blocks that every device with clusters puts into one

// False where a device says that it does not run so many blocks as one cluster; throws what else went wrong.
inline bool cluster_taken(cudaError_t error, const char* call) {
  if (error == cudaErrorInvalidClusterSize || error == cudaErrorLaunchOutOfResources ||
      error == cudaErrorNotSupported) {
    static_cast<void>(cudaGetLastError());
    return false;
  }
  check(error, call);
  return true;
}

#if defined(__CUDACC__)

// Blocks that a multiprocessor should have registers for: Kernel::kResident, where a kernel says so.
template <typename Kernel>
constexpr unsigned resident() {
  if constexpr (requires { Kernel::kResident; })
    return Kernel::kResident;
  else
    return 1;
}

// Kernels of a cluster have no code for devices without: they are not launched there.
template <typename Kernel>
COREGAIN_EITHER constexpr bool has_code() {
#if defined(__CUDA_ARCH__) && !COREGAIN_CLUSTERS
  return !in_cluster<Kernel>();
#else
  return true;
#endif
}

template <typename Kernel, unsigned kThreads>
__global__ void __launch_bounds__(kThreads, resident<Kernel>()) entry(const __grid_constant__ Kernel kernel) {
  if constexpr (has_code<Kernel>()) {
    extern __shared__ __align__(16) char shared[];
    Block block(shared);
    kernel(block);
  }
}

// The entry of a kernel, which may be launched with so much shared memory.
template <typename Kernel>
const void* entry_for(size_t shared) {
  void (*const function)(Kernel) = entry<Kernel, Kernel::kThreads>;
  const auto* const code = reinterpret_cast<const void*>(function);
  if (shared > 48 * 1024)
    check(cudaFuncSetAttribute(code, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)),
          "cudaFuncSetAttribute");
  return code;
}

template <typename Kernel>
void launch(const Stream& stream, const Grid& grid, const Kernel& kernel) {
  static_assert(!in_cluster<Kernel>());
  const void* const code = entry_for<Kernel>(grid.shared);
  Kernel copy = kernel;
  void* arguments[] = {&copy};
  const auto blocks = dim3(grid.blocks), threads = dim3(grid.threads);
  check_launch(grid.together ? cudaLaunchCooperativeKernel(code, blocks, threads, arguments, grid.shared, stream.get())
                             : cudaLaunchKernel(code, blocks, threads, arguments, grid.shared, stream.get()),
               grid);
}

// run(code, config) with what it takes to launch all blocks of a grid as one cluster.
template <typename Kernel, typename F>
cudaError_t as_cluster(const Grid& grid, cudaStream_t stream, const F& run) {
  static_assert(in_cluster<Kernel>());
  const void* const code = entry_for<Kernel>(grid.shared);
  if (grid.blocks > kPortableCluster)
    check(cudaFuncSetAttribute(code, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), "cudaFuncSetAttribute");
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = grid.blocks;
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid.blocks);
  config.blockDim = dim3(grid.threads);
  config.dynamicSmemBytes = grid.shared;
  config.stream = stream;
  config.attrs = &cluster;
  config.numAttrs = 1;
  return run(code, config);
}

// Whether the device says that it runs all blocks of a grid as one cluster. Where others have a share of it (MPS) a
// launch may be refused all the same.
template <typename Kernel>
bool cluster_fits(const Grid& grid) {
  int clusters = 0;
  const cudaError_t error = as_cluster<Kernel>(grid, nullptr, [&](const void* code, const cudaLaunchConfig_t& config) {
    return cudaOccupancyMaxActiveClusters(&clusters, code, &config);
  });
  return cluster_taken(error, "cudaOccupancyMaxActiveClusters") && clusters > 0;
}

// Launches all blocks of a grid as one cluster and returns true, or false where the device does not run so many as one.
template <typename Kernel>
bool launch_cluster(const Stream& stream, const Grid& grid, const Kernel& kernel) {
  Kernel copy = kernel;
  void* arguments[] = {&copy};
  const cudaError_t error =
      as_cluster<Kernel>(grid, stream.get(), [&](const void* code, const cudaLaunchConfig_t& config) {
        return cudaLaunchKernelExC(&config, code, arguments);
      });
  return cluster_taken(error, "cudaLaunchKernelEx");
}

#else

template <typename Kernel>
void launch(const Stream& stream, const Grid& grid, const Kernel& kernel) {
  static_assert(!in_cluster<Kernel>());
  check_launch(emulate(stream.get(), grid.blocks, grid.threads, grid.shared,
                       grid.together ? Run::kTogether : Run::kApart, kernel),
               grid);
}
template <typename Kernel>
bool cluster_fits(const Grid& grid) {
  static_assert(in_cluster<Kernel>());
  return grid.blocks <= emulated().cluster && grid.shared <= emulated().shared;
}
template <typename Kernel>
bool launch_cluster(const Stream& stream, const Grid& grid, const Kernel& kernel) {
  static_assert(in_cluster<Kernel>());
  return cluster_taken(emulate(stream.get(), grid.blocks, grid.threads, grid.shared, Run::kCluster, kernel),
                       "cudaLaunchKernelEx");
}

#endif

}  // namespace coregain::cuda
