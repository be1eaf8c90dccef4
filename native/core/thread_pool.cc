#include "core/thread_pool.h"

#include <chrono>

#include "core/cpu.h"

namespace coregain {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns as soon as `value` differs from `old`: spins for about 50 microseconds, then sleeps in the kernel.
template <typename T>
void wait_for_change(const std::atomic<T>& value, T old) {
  const auto start = std::chrono::steady_clock::now();
  for (unsigned spins = 0;; ++spins) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
    if (spins % 64 == 63 && std::chrono::steady_clock::now() - start > std::chrono::microseconds(50)) break;
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(unsigned threads) {
  if (threads == 0) threads = hardware_threads();
  workers_.reserve(threads - 1);
  for (unsigned i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::work(unsigned index) {
  for (uint32_t seen = 0;; ++seen) {
    wait_for_change(round_, seen);
    if (stop_.load(std::memory_order_relaxed)) return;
    (*body_)(index);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

void ThreadPool::run(const std::function<void(unsigned)>& body) {
  if (workers_.empty()) return body(0);
  body_ = &body;
  running_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  body(0);
  for (uint32_t left = running_.load(std::memory_order_acquire); left != 0;
       left = running_.load(std::memory_order_acquire))
    wait_for_change(running_, left);
}

void ThreadPool::for_range(size_t n, const std::function<void(unsigned, size_t, size_t)>& body) {
  const size_t threads = size();
  run([&](unsigned t) { body(t, n * t / threads, n * (t + 1) / threads); });
}

}  // namespace coregain
