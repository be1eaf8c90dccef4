// CUDA on the processor, for tests: the few functions of the run-time library that cuda/runtime.h calls, and launches.
// A block's threads take turns, phase by phase (cuda/block.h), so a block is one thread; blocks that wait for each
// other run side by side as threads of this process. Device memory is host memory, with a limit that tests set.
//
// It is as late and as strict as a device may be. What is given to a stream runs when somebody waits for the stream, or
// frees memory; what goes to shared memory by asynchronous copies arrives when its thread waits for it; the threads of
// a phase, and the lanes of a warp, go up in one phase and down in the next, so that a phase which needs an order
// shows; what blocks of a cluster write to each other arrives when the writer comes to their barrier; a launch that a
// device would refuse is refused; a thread of the host that takes, frees or runs something without having said on which
// device, a vector at an odd address, a kernel that writes behind its shared memory, and a block of a cluster that is
// written to before it has begun or after it has ended end the test.
//
// What this cannot show: a missing __syncwarp where the order of lanes makes no difference, the order in which a real
// device sees the writes of another block (the thread sanitizer does), registers, and time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#define CUDART_VERSION 13000

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorLaunchOutOfResources = 701,
  cudaErrorLaunchFailure = 719,
  cudaErrorCooperativeLaunchTooLarge = 720,
  cudaErrorNotSupported = 801,
  cudaErrorInvalidClusterSize = 912
};
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrL2CacheSize = 38,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
  cudaDevAttrClusterLaunch = 120
};
struct EmulatedStream;
using cudaStream_t = EmulatedStream*;
constexpr unsigned cudaHostAllocMapped = 2, cudaHostRegisterMapped = 2;
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
  std::atomic<size_t> used = 0;     // a test looks at it while the device works
  size_t most_used = 0, launches = 0;
  unsigned multiprocessors = 3;
  size_t shared = size_t{99} << 10;  // most bytes of a block: sm_86 and sm_89, the least of those that kernels run on
  int major = 9, minor = 0;
  unsigned cluster = 16;                 // most blocks of one, by what the device says
  size_t cluster_launches = ~size_t{0};  // that it takes, whatever it says
  std::map<void*, size_t> sizes;
  std::set<cudaStream_t> streams;
  std::recursive_mutex mutex;
};
inline Emulated& emulated() {
  static Emulated device;
  return device;
}

// Code under test broke a rule.
[[noreturn]] inline void break_off(const char* what) {
  std::fprintf(stderr, "cuda_emulation.h: %s\n", what);
  std::abort();
}
// A thread of the host begins with device 0, whatever it is about to free: code says which it means.
inline thread_local int chosen_device = -1;
inline void expect_device() {
  if (chosen_device < 0) break_off("this thread of the host has not chosen a device");
}
inline void expect_aligned(const void* address, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) break_off("a vector is not at a multiple of its size");
}

// ---- turns of threads

// Whether those of this phase go from the last to the first.
inline thread_local bool backwards = false;
inline unsigned turn(unsigned at, unsigned of) {
  return backwards ? of - 1 - at : at;
}

// ---- copies to shared memory that a thread of a block has under way (cp.async), 16 bytes each

struct AsyncCopies {
  struct Copy {
    void* to;
    const void* from;
  };
  std::vector<Copy> open;                 // of no group yet
  std::vector<std::vector<Copy>> groups;  // in their order

  // Only the latest `count` groups may still be under way.
  void wait(size_t count) {
    while (groups.size() > count) {
      for (const Copy& copy : groups.front()) std::memcpy(copy.to, copy.from, 16);
      groups.erase(groups.begin());
    }
  }
};
inline thread_local AsyncCopies* async_copies = nullptr;  // of the thread whose turn it is

}  // namespace coregain::cuda

struct EmulatedStream {
  void give(std::function<void()> work) {
    const std::lock_guard lock(coregain::cuda::emulated().mutex);
    waiting.push_back(std::move(work));
  }
  // Runs what was given to it since, and says whether there was something.
  bool run() {
    const std::lock_guard lock(coregain::cuda::emulated().mutex);
    const std::vector<std::function<void()>> works = std::exchange(waiting, {});
    for (const std::function<void()>& work : works) work();
    return !works.empty();
  }

  std::vector<std::function<void()>> waiting;
};

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
inline cudaError_t cudaSetDevice(int device) {
  if (device != 0) return cudaErrorInvalidDevice;
  coregain::cuda::chosen_device = device;
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
  const coregain::cuda::Emulated& device = coregain::cuda::emulated();
  *properties = {"emulated",   device.memory, 1 << 20,
                 device.major, device.minor,  static_cast<int>(device.multiprocessors)};
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const coregain::cuda::Emulated& device = coregain::cuda::emulated();
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = static_cast<int>(device.multiprocessors);
      break;
    case cudaDevAttrL2CacheSize:
      *value = 1 << 20;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = device.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = device.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(device.shared);
      break;
    case cudaDevAttrClusterLaunch:
      *value = device.major >= 9 ? 1 : 0;
      break;
  }
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  coregain::cuda::expect_device();
  const std::lock_guard lock(coregain::cuda::emulated().mutex);
  *total = coregain::cuda::emulated().memory;
  *free = *total - coregain::cuda::emulated().used;
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** data, size_t bytes) {
  coregain::cuda::expect_device();
  coregain::cuda::Emulated& device = coregain::cuda::emulated();
  const std::lock_guard lock(device.mutex);
  if (device.used + bytes > device.memory) return cudaErrorMemoryAllocation;
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*data == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*data, 0xee, bytes);  // device memory is not cleared
  device.sizes[*data] = bytes;
  device.used += bytes;
  if (device.used > device.most_used) device.most_used = device.used;
  return cudaSuccess;
}
// Waits for all of the device, as the real one does.
inline void finish_streams() {
  coregain::cuda::Emulated& device = coregain::cuda::emulated();
  const std::lock_guard lock(device.mutex);
  for (const cudaStream_t stream : device.streams) stream->run();
}
inline cudaError_t cudaFree(void* data) {
  coregain::cuda::expect_device();
  finish_streams();
  coregain::cuda::Emulated& device = coregain::cuda::emulated();
  const std::lock_guard lock(device.mutex);
  device.used -= device.sizes[data];
  device.sizes.erase(data);
  std::free(data);
  return cudaSuccess;
}
inline cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  coregain::cuda::expect_device();
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*data == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*data, 0xee, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* data) {
  coregain::cuda::expect_device();
  finish_streams();
  std::free(data);
  return cudaSuccess;
}
inline cudaError_t cudaHostRegister(void*, size_t, unsigned) {
  coregain::cuda::expect_device();
  return cudaSuccess;
}
inline cudaError_t cudaHostUnregister(void*) {
  coregain::cuda::expect_device();
  finish_streams();
  return cudaSuccess;
}
inline cudaError_t cudaHostGetDevicePointer(void** pointer, void* data, unsigned) {
  *pointer = data;
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  coregain::cuda::expect_device();
  const std::lock_guard lock(coregain::cuda::emulated().mutex);
  *stream = std::make_unique<EmulatedStream>().release();
  coregain::cuda::emulated().streams.insert(*stream);
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  stream->run();
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::unique_ptr<EmulatedStream> owned(stream);
  const std::lock_guard lock(coregain::cuda::emulated().mutex);
  stream->run();
  coregain::cuda::emulated().streams.erase(stream);
  return cudaSuccess;
}
// Says once that there is work.
inline cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return stream->run() ? cudaErrorNotReady : cudaSuccess;
}
// Pageable memory too: the real one may, or may not, take it before the call returns.
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, int, cudaStream_t stream) {
  stream->give([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  stream->give([=] { std::memset(data, value, bytes); });
  return cudaSuccess;
}

namespace coregain::cuda {

// ---- clusters

// The blocks of a cluster: what they write to each other's shared memory, and their barrier. What a block writes
// arrives when it comes to the barrier, or ends. Where blocks take turns, one runs from barrier to barrier while the
// others stand still, the first to the last, then the last to the first: so that what is written too early, or read too
// late, shows every time. Else they run side by side, for the thread sanitizer.
class EmulatedCluster {
 public:
  EmulatedCluster(unsigned blocks, size_t shared, bool take_turns)
      : take_turns_(take_turns), bytes_(shared), shared_(blocks), written_(blocks), waiting_(blocks) {}

  void begin(unsigned block, char* shared) {
    std::unique_lock lock(mutex_);
    waiting_[block].wait(lock, [&] { return has_turn(block); });
    shared_[block] = shared;
  }
  void end(unsigned block) {
    const std::lock_guard lock(mutex_);
    deliver(block);
    if (at_barrier_ > 0) break_off("a block ended while others of its cluster were waiting for it");
    shared_[block] = nullptr;
    ++ended_;
    ++turn_;
    wake();
  }
  // Gives `bytes` to the place `at` of a block's shared memory: a place of the writer's own.
  void write(unsigned block, unsigned to, const char* at, const void* from, size_t bytes) {
    const auto offset = static_cast<size_t>(at - shared_[block]);
    if (at < shared_[block] || offset + bytes > bytes_) break_off("a block wrote outside of another's shared memory");
    const auto* const data = static_cast<const char*>(from);
    written_[block].push_back({to, offset, std::vector<char>(data, data + bytes)});
  }
  void meet(unsigned block) {
    std::unique_lock lock(mutex_);
    deliver(block);
    if (ended_ > 0) break_off("a block of a cluster came to a barrier after another had ended");
    const unsigned round = round_;
    ++turn_;
    if (++at_barrier_ == shared_.size()) {
      at_barrier_ = turn_ = 0;
      ++round_;
    }
    wake();
    waiting_[block].wait(lock, [&] { return round_ != round && has_turn(block); });
  }

 private:
  struct Write {
    unsigned to;
    size_t offset;
    std::vector<char> data;
  };

  void deliver(unsigned block) {
    for (const Write& write : written_[block]) {
      if (shared_[write.to] == nullptr) break_off("a block wrote to another that had not begun, or had ended");
      std::memcpy(shared_[write.to] + write.offset, write.data.data(), write.data.size());
    }
    written_[block].clear();
  }
  unsigned next() const { return round_ % 2 == 0 ? turn_ : static_cast<unsigned>(shared_.size()) - 1 - turn_; }
  bool has_turn(unsigned block) const { return !take_turns_ || next() == block; }
  void wake() {
    if (take_turns_ && turn_ < shared_.size()) waiting_[next()].notify_one();
    for (size_t block = 0; !take_turns_ && block < waiting_.size(); ++block) waiting_[block].notify_one();
  }

  std::mutex mutex_;
  const bool take_turns_;
  const size_t bytes_;
  std::vector<char*> shared_;                // by block; null before it begins and after it ends
  std::vector<std::vector<Write>> written_;  // by block, since it was last at the barrier
  std::vector<std::condition_variable> waiting_;
  unsigned turn_ = 0, round_ = 0, at_barrier_ = 0, ended_ = 0;
};

// ---- launches

// How the blocks of a kernel run.
enum class Run { kApart, kTogether, kCluster };

// Runs a kernel (cuda/block.h) and returns when it has ended. `turns`: its bits say what goes backwards, and whether
// the blocks of a cluster take turns.
template <typename Block, typename Kernel>
void run_kernel(unsigned blocks, unsigned threads, size_t shared, Run how, size_t turns, const Kernel& kernel) {
  constexpr size_t kBehind = 256;
  constexpr unsigned char kUntouched = 0xa5;
  EmulatedCluster cluster(how == Run::kCluster ? blocks : 0, shared, turns / 2 % 2 == 0);
  const auto run = [&](unsigned index) {
    const size_t room = (shared + 15) / 16 * 16;
    const std::unique_ptr<unsigned char, decltype(&std::free)> memory(
        static_cast<unsigned char*>(std::aligned_alloc(16, room + kBehind)), &std::free);
    std::memset(memory.get(), 0xee, room);
    std::memset(memory.get() + room, kUntouched, kBehind);
    backwards = turns % 2 != 0;
    auto* const begin = reinterpret_cast<char*>(memory.get());
    Block block(index, blocks, threads, begin, how == Run::kCluster ? &cluster : nullptr);
    if (how == Run::kCluster) cluster.begin(index, begin);
    kernel(block);
    if (how == Run::kCluster) cluster.end(index);
    for (size_t i = 0; i < kBehind; ++i)
      if (memory.get()[room + i] != kUntouched) break_off("a kernel wrote behind its shared memory");
  };
  if (how == Run::kApart) {
    for (unsigned index = 0; index < blocks; ++index) run(index);
    return;
  }
  std::vector<std::thread> running;
  for (unsigned index = 1; index < blocks; ++index) running.emplace_back(run, index);
  run(0);
  for (std::thread& thread : running) thread.join();
}

// Gives a kernel to a stream, or says why a device would not take it.
template <typename Block, typename Kernel>
cudaError_t emulate_as(cudaStream_t stream, unsigned blocks, unsigned threads, size_t shared, Run how,
                       const Kernel& kernel) {
  Emulated& device = emulated();
  expect_device();
  if (blocks == 0 || blocks > 0x7fffffff || threads == 0 || threads > 1024 || threads % 32 != 0)
    return cudaErrorInvalidConfiguration;
  if (shared > device.shared) return cudaErrorInvalidValue;
  if (how == Run::kTogether && blocks > device.multiprocessors) return cudaErrorCooperativeLaunchTooLarge;
  if (how == Run::kCluster && device.major < 9) return cudaErrorNotSupported;
  if (how == Run::kCluster && (blocks > device.cluster || device.cluster_launches == 0))
    return cudaErrorInvalidClusterSize;
  if (how == Run::kCluster) --device.cluster_launches;
  const size_t turns = ++device.launches;
  stream->give([=] { run_kernel<Block>(blocks, threads, shared, how, turns, kernel); });
  return cudaSuccess;
}

}  // namespace coregain::cuda

// cuda/runtime.h knows Block.
#define emulate emulate_as<Block>
