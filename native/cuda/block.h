// What a kernel may ask of its block of threads: one source for the device and for the tests on the processor.
//
// A kernel is a struct whose members are its arguments and whose operator()(Block&) is its body, written in phases:
//
//   block.each([&](unsigned thread) { ... });     every thread runs it; a barrier follows
//
// What outlives a phase is in shared memory, in global memory or in a PerThread. Code between phases runs in every
// thread and must come to the same result in each. nvcc makes of this what one writes by hand; an ordinary compiler
// makes loops of it (native/test/cuda_emulation.h), so that the same lines are tested where no GPU is at hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda/atomic>
#define COREGAIN_DEVICE __device__ __forceinline__
#define COREGAIN_EITHER __host__ __device__
#define COREGAIN_UNROLL _Pragma("unroll")
// Whether the device that this is compiled for has clusters.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define COREGAIN_CLUSTERS 1
#else
#define COREGAIN_CLUSTERS 0
#endif
#else
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "cuda_emulation.h"
#define COREGAIN_DEVICE inline
#define COREGAIN_EITHER
#define COREGAIN_UNROLL
#endif

namespace coregain::cuda {

constexpr unsigned kWarp = 32;

class Block;

// ---- a value for each thread

// Stays in registers where all indices into T are known when the kernel is compiled.
template <typename T>
class PerThread {
 public:
#if defined(__CUDACC__)
  COREGAIN_DEVICE explicit PerThread(const Block&) {}
  COREGAIN_DEVICE T& operator[](unsigned) {
    return value_;
  }

 private:
  T value_{};
#else
  explicit inline PerThread(const Block& block);
  T& operator[](unsigned thread) {
    return values_[thread];
  }

 private:
  std::unique_ptr<T[]> values_;
#endif
};

// ---- memory that several blocks, or a block and the host, write

// Seen by the other blocks of this device, with all that was written before.
template <typename T>
COREGAIN_DEVICE void store_release(T* to, T value) {
#if defined(__CUDACC__)
  ::cuda::atomic_ref<T, ::cuda::thread_scope_device>(*to).store(value, ::cuda::std::memory_order_release);
#else
  std::atomic_ref<T>(*to).store(value, std::memory_order_release);
#endif
}
template <typename T>
COREGAIN_DEVICE T load_acquire(T* from) {
#if defined(__CUDACC__)
  return ::cuda::atomic_ref<T, ::cuda::thread_scope_device>(*from).load(::cuda::std::memory_order_acquire);
#else
  return std::atomic_ref<T>(*from).load(std::memory_order_acquire);
#endif
}
// The same between the device and the host, in pinned memory.
template <typename T>
COREGAIN_DEVICE void store_release_host(T* to, T value) {
#if defined(__CUDACC__)
  ::cuda::atomic_ref<T, ::cuda::thread_scope_system>(*to).store(value, ::cuda::std::memory_order_release);
#else
  std::atomic_ref<T>(*to).store(value, std::memory_order_release);
#endif
}
template <typename T>
COREGAIN_DEVICE T load_host(T* from) {
#if defined(__CUDACC__)
  return ::cuda::atomic_ref<T, ::cuda::thread_scope_system>(*from).load(::cuda::std::memory_order_relaxed);
#else
  return std::atomic_ref<T>(*from).load(std::memory_order_relaxed);
#endif
}
// Adds and gives what was there before.
COREGAIN_DEVICE int32_t fetch_add(int32_t* to, int32_t value) {
#if defined(__CUDACC__)
  return atomicAdd(to, value);
#else
  return std::atomic_ref<int32_t>(*to).fetch_add(value, std::memory_order_relaxed);
#endif
}
COREGAIN_DEVICE void fetch_max(double* to, double value) {
#if defined(__CUDACC__)
  // a double as an integer of the same order: positive ones as they are, negative ones upside down
  auto* word = reinterpret_cast<unsigned long long*>(to);
  unsigned long long seen = *reinterpret_cast<volatile unsigned long long*>(word);
  while (value > __longlong_as_double(static_cast<long long>(seen))) {
    const unsigned long long before =
        atomicCAS(word, seen, static_cast<unsigned long long>(__double_as_longlong(value)));
    if (before == seen) return;
    seen = before;
  }
#else
  std::atomic_ref<double> word(*to);
  double seen = word.load(std::memory_order_relaxed);
  while (value > seen && !word.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
#endif
}

// ---- four bytes at a time

struct alignas(16) Bytes16 {
  uint32_t words[4];
};
// 16 bytes at an address that is a multiple of 16.
COREGAIN_DEVICE Bytes16 load16(const void* from) {
#if !defined(__CUDACC__)
  expect_aligned(from, 16);
#endif
  return *static_cast<const Bytes16*>(from);
}
// sum + the inner product of four int8 with four.
COREGAIN_DEVICE int32_t dot4(uint32_t a, uint32_t b, int32_t sum) {
#if defined(__CUDACC__)
  return __dp4a(static_cast<int>(a), static_cast<int>(b), sum);
#else
  for (unsigned i = 0; i < 32; i += 8) sum += static_cast<int8_t>(a >> i & 255) * static_cast<int8_t>(b >> i & 255);
  return sum;
#endif
}

// ---- copies to shared memory that go on while the block computes (sm_80); 16 bytes, aligned

COREGAIN_DEVICE void copy16_async(void* shared, const void* global) {
#if defined(__CUDACC__)
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(global) : "memory");
#else
  expect_aligned(shared, 16);
  expect_aligned(global, 16);
  async_copies->open.push_back({shared, global});
#endif
}
// Ends a group of copies; `wait_async<n>` waits until at most the n latest groups of this thread are under way.
COREGAIN_DEVICE void commit_async() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  async_copies->groups.push_back(std::exchange(async_copies->open, {}));
#endif
}
template <int kGroups>
COREGAIN_DEVICE void wait_async() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
#else
  async_copies->wait(kGroups);
#endif
}

// ---- a warp

class Warp {
 public:
  COREGAIN_DEVICE explicit Warp(unsigned at) : index(at) {}

  // f(lane); the warp's threads meet afterwards.
  template <typename F>
  COREGAIN_DEVICE void lanes(const F& f) const {
#if defined(__CUDACC__)
    f(threadIdx.x % kWarp);
    __syncwarp();
#else
    for (unsigned at = 0; at < kWarp; ++at) f(turn(at, kWarp));
    backwards = !backwards;
#endif
  }
  // The sum of f(lane), for all lanes. Five additions deep.
  template <typename F>
  COREGAIN_DEVICE double sum(const F& f) const {
#if defined(__CUDACC__)
    double value = f(threadIdx.x % kWarp);
    COREGAIN_UNROLL
    for (unsigned distance = kWarp / 2; distance > 0; distance /= 2)
      value += __shfl_xor_sync(0xffffffff, value, static_cast<int>(distance));
    return value;
#else
    double values[kWarp];
    for (unsigned lane = 0; lane < kWarp; ++lane) values[lane] = f(lane);
    for (unsigned distance = kWarp / 2; distance > 0; distance /= 2)
      for (unsigned lane = 0; lane < distance; ++lane) values[lane] += values[lane + distance];
    return values[0];
#endif
  }
  template <typename F>
  COREGAIN_DEVICE double max(const F& f) const {
#if defined(__CUDACC__)
    double value = f(threadIdx.x % kWarp);
    COREGAIN_UNROLL
    for (unsigned distance = kWarp / 2; distance > 0; distance /= 2)
      value = fmax(value, __shfl_xor_sync(0xffffffff, value, static_cast<int>(distance)));
    return value;
#else
    double value = f(0);
    for (unsigned lane = 1; lane < kWarp; ++lane) {
      const double other = f(lane);
      value = other > value ? other : value;
    }
    return value;
#endif
  }

  // C += A B on tensor cores: A 16 x 32 int8, B 32 x 8 int8, C 16 x 8 int32. `operands(thread)` gives each lane's
  // registers (mma.sync.m16n8k32, PTX ISA 9.7.14); with g = lane / 4 and t = lane % 4,
  //   a[0..3]: rows g, g + 8, g, g + 8, columns 4 t .. 4 t + 3, the last two 16 further right
  //   b[0..1]: rows 4 t .. 4 t + 3 and 16 below, column g          c[0..3]: rows g, g, g + 8, g + 8, columns 2 t, 2 t +
  //   1
  struct Operands {
    int32_t* c;
    const uint32_t *a, *b;
  };
  template <typename F>
  COREGAIN_DEVICE void multiply_int8(const F& operands) const {
#if defined(__CUDACC__)
    const Operands o = operands(threadIdx.x);
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(o.c[0]), "+r"(o.c[1]), "+r"(o.c[2]), "+r"(o.c[3])
                 : "r"(o.a[0]), "r"(o.a[1]), "r"(o.a[2]), "r"(o.a[3]), "r"(o.b[0]), "r"(o.b[1]));
#else
    int8_t a[16][32], b[32][8];
    const auto byte = [](uint32_t word, unsigned i) { return static_cast<int8_t>(word >> (8 * i) & 255); };
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      const Operands o = operands(index * kWarp + lane);
      const unsigned g = lane / 4, t = lane % 4;
      for (unsigned r = 0; r < 4; ++r)
        for (unsigned i = 0; i < 4; ++i) a[g + r % 2 * 8][4 * t + i + r / 2 * 16] = byte(o.a[r], i);
      for (unsigned r = 0; r < 2; ++r)
        for (unsigned i = 0; i < 4; ++i) b[4 * t + i + r * 16][g] = byte(o.b[r], i);
    }
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      const Operands o = operands(index * kWarp + lane);
      const unsigned g = lane / 4, t = lane % 4;
      for (unsigned r = 0; r < 4; ++r)
        for (unsigned k = 0; k < 32; ++k) o.c[r] += a[g + r / 2 * 8][k] * b[k][2 * t + r % 2];
    }
#endif
  }

  const unsigned index;
};

// ---- records that all blocks of a kernel give each other: two ways

// Through global memory: all blocks run at once (a cooperative launch).
template <typename T>
struct GridExchange {
  static constexpr bool kCluster = false;
  T* records;        // [2, blocks]
  uint32_t* rounds;  // [2, blocks], zero when the kernel starts

  // Records that each block keeps in its shared memory.
  COREGAIN_EITHER static constexpr size_t room(unsigned blocks) { return blocks; }
};

// Through each other's shared memory: all blocks are one cluster (sm_90).
template <typename T>
struct ClusterExchange {
  static constexpr bool kCluster = true;
  COREGAIN_EITHER static constexpr size_t room(unsigned blocks) { return size_t{2} * blocks; }
};

// Whether the blocks of a kernel are one cluster: Kernel::kCluster, where it says so.
template <typename Kernel>
COREGAIN_EITHER constexpr bool in_cluster() {
  if constexpr (requires { Kernel::kCluster; })
    return Kernel::kCluster;
  else
    return false;
}

// ---- the block

class Block {
 public:
#if defined(__CUDACC__)
  COREGAIN_DEVICE explicit Block(char* shared_memory)
      : index(blockIdx.x), count(gridDim.x), threads(blockDim.x), next_(shared_memory) {}
#else
  // `cluster`: null unless the blocks are one.
  Block(unsigned at, unsigned of, unsigned size, char* shared_memory, EmulatedCluster* cluster)
      : index(at), count(of), threads(size), next_(shared_memory), copies_(size), cluster_(cluster) {}
#endif

  const unsigned index, count, threads;

  template <typename F>
  COREGAIN_DEVICE void each(const F& f) const {
#if defined(__CUDACC__)
    f(threadIdx.x);
    __syncthreads();
#else
    for (unsigned at = 0; at < threads; ++at) {
      const unsigned thread = turn(at, threads);
      async_copies = &copies_[thread];
      f(thread);
    }
    backwards = !backwards;
#endif
  }
  // f(warp), a barrier afterwards.
  template <typename F>
  COREGAIN_DEVICE void warps(const F& f) const {
#if defined(__CUDACC__)
    f(Warp(threadIdx.x / kWarp));
    __syncthreads();
#else
    const bool down = backwards;
    for (unsigned warp = 0; warp < threads / kWarp; ++warp) f(Warp(down ? threads / kWarp - 1 - warp : warp));
    backwards = !down;
#endif
  }

  // The next `size` elements of the block's shared memory, 16 bytes aligned. The launch says how much there is.
  template <typename T>
  COREGAIN_DEVICE T* shared(size_t size) {
    T* const at = reinterpret_cast<T*>(next_);
    next_ += shared_bytes<T>(size);
    return at;
  }
  template <typename T>
  COREGAIN_EITHER static constexpr size_t shared_bytes(size_t size) {
    return (size * sizeof(T) + 15) / 16 * 16;
  }

  // The values of the first `of` threads put together by `join`, which is associative and commutative; the same in
  // every thread. `of` is a multiple of kWarp; `room` is shared memory for one T a warp of them.
  template <typename T, typename Join>
  COREGAIN_DEVICE T reduce(PerThread<T>& values, T* room, const Join& join, unsigned of) const {
#if defined(__CUDACC__)
    static_assert(sizeof(T) % 4 == 0);
    T value = values[threadIdx.x];
    if (threadIdx.x < of) {
      COREGAIN_UNROLL
      for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
        T other;
        uint32_t mine[sizeof(T) / 4], theirs[sizeof(T) / 4];
        memcpy(mine, &value, sizeof(T));
        COREGAIN_UNROLL
        for (unsigned word = 0; word < sizeof(T) / 4; ++word)
          theirs[word] = __shfl_xor_sync(0xffffffff, mine[word], static_cast<int>(distance));
        memcpy(&other, theirs, sizeof(T));
        value = join(value, other);
      }
      if (threadIdx.x % kWarp == 0) room[threadIdx.x / kWarp] = value;
    }
    __syncthreads();
    value = room[0];
    for (unsigned warp = 1; warp < of / kWarp; ++warp) value = join(value, room[warp]);
    __syncthreads();
    return value;
#else
    T value = values[0];
    for (unsigned thread = 1; thread < of; ++thread) value = join(value, values[thread]);
    room[0] = value;
    return value;
#endif
  }

  // Gives `mine`, the same in every thread, to all blocks, and returns theirs [count], which stay in `room` until the
  // next round. Also a barrier of all blocks, after which each sees what any wrote before. `round` counts
  // 1, 2, ... . Two sets of records take turns: who writes round r + 2 has seen all of round r + 1, so that all blocks
  // are done reading round r.
  template <typename T>
  COREGAIN_DEVICE const T* exchange(const GridExchange<T>& with, uint32_t round, const T& mine, T* room) const {
    T* const records = with.records + (round & 1) * count;
    uint32_t* const rounds = with.rounds + (round & 1) * count;
#if defined(__CUDACC__)
    if (threadIdx.x == 0) {
      records[index] = mine;
      store_release(rounds + index, round);
    }
    for (unsigned other = threadIdx.x; other < count; other += threads) {
      while (load_acquire(rounds + other) != round) {
      }
      room[other] = records[other];
    }
    __syncthreads();
#else
    records[index] = mine;
    store_release(rounds + index, round);
    for (unsigned other = 0; other < count; ++other) {
      while (load_acquire(rounds + other) != round) std::this_thread::yield();
      room[other] = records[other];
    }
#endif
    return room;
  }
  // The same in a cluster. `room` lies at the same place of every block: they take their shared memory in one order.
  // Nobody may write to a block that has not begun, hence one more barrier in round 1; nor to one that has ended, which
  // nobody does, since all that is written to a block is there when it leaves the barrier of its last round.
  template <typename T>
  COREGAIN_DEVICE const T* exchange(const ClusterExchange<T>&, uint32_t round, const T& mine, T* room) const {
    T* const records = room + (round & 1) * count;
    if (round == 1) meet();
    give(records + index, mine);
    meet();
    return records;
  }

 private:
  // Writes `value` to the place `to` of this block's shared memory and to the same place of every other block's: a
  // thread for each. The rank of a block is its index, there being one cluster.
  template <typename T>
  COREGAIN_DEVICE void give(T* to, const T& value) const {
#if !defined(__CUDACC__)
    for (unsigned other = 0; other < count; ++other)
      cluster_->write(index, other, reinterpret_cast<char*>(to), &value, sizeof(T));
#elif COREGAIN_CLUSTERS
    for (unsigned other = threadIdx.x; other < count; other += threads)
      *static_cast<T*>(__cluster_map_shared_rank(to, other)) = value;
#endif
  }
  // The barrier of a cluster, at which every thread arrives itself. No fence of the device beside it: once `wait` is
  // done, whatever memory any thread of the cluster had used before it arrived, shared or global, is complete and
  // visible (PTX ISA, barrier.cluster; only asynchronous copies are not, and none is under way here). That is less than
  // the release of a grid, which other blocks of the device would see too.
  COREGAIN_DEVICE void meet() const {
#if !defined(__CUDACC__)
    cluster_->meet(index);
#elif COREGAIN_CLUSTERS
    asm volatile("barrier.cluster.arrive.release;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
#endif
  }

  char* next_;
#if !defined(__CUDACC__)
  mutable std::vector<AsyncCopies> copies_;  // by thread
  EmulatedCluster* cluster_;
#endif
};

#if !defined(__CUDACC__)
template <typename T>
PerThread<T>::PerThread(const Block& block) : values_(new T[block.threads]()) {}
#endif

}  // namespace coregain::cuda
