#include "core/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/cpu.h"

namespace coregain {
namespace {

constexpr auto kSpinTime = std::chrono::microseconds(50);

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns as soon as `value` differs from `old`: spins for a moment, then sleeps in the kernel.
void wait_for_change(const std::atomic<uint32_t>& value, uint32_t old) {
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int spins = 0; spins < 32; ++spins) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause();
    }
  } while (std::chrono::steady_clock::now() - start < kSpinTime);
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(unsigned threads) {
  thrown_.resize(threads == 0 ? hardware_threads() : threads);
  workers_.reserve(thrown_.size() - 1);
  for (unsigned i = 1; i < thrown_.size(); ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::call(unsigned index) {
  try {
    (*body_)(index);
  } catch (...) {
    thrown_[index] = std::current_exception();
  }
}

void ThreadPool::work(unsigned index) {
  const StandardArithmetic standard;
  for (uint32_t seen = 0;; ++seen) {
    wait_for_change(round_, seen);
    if (stop_.load(std::memory_order_relaxed)) return;
    call(index);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

void ThreadPool::run(const std::function<void(unsigned)>& body) {
  body_ = &body;
  running_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  call(0);
  for (uint32_t left = running_.load(std::memory_order_acquire); left != 0;
       left = running_.load(std::memory_order_acquire))
    wait_for_change(running_, left);
  for (std::exception_ptr& thrown : thrown_)
    if (thrown) std::rethrow_exception(std::exchange(thrown, nullptr));
}

void ThreadPool::for_blocks(size_t n, size_t block, const std::function<void(unsigned, size_t, size_t)>& body) {
  if (n <= block || workers_.empty()) {  // not worth waking anybody
    for (size_t begin = 0; begin < n; begin += block) body(0, begin, std::min(n, begin + block));
    return;
  }
  std::atomic<size_t> next{0};
  run([&](unsigned thread) {
    for (size_t begin = next.fetch_add(block); begin < n; begin = next.fetch_add(block))
      body(thread, begin, std::min(n, begin + block));
  });
}

}  // namespace coregain
