// A few threads that run the same function side by side, step after step.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace coregain {

// The greedy loop hands out work of about 100 microseconds thousands of times a second, so a waiting thread spins for a
// moment before it sleeps. The calling thread works too: a pool of 1 starts no thread.
class ThreadPool {
 public:
  // 0 = all hardware threads.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const { return static_cast<unsigned>(workers_.size()) + 1; }

  // Calls body(0) .. body(size() - 1), one on each thread; returns when all have returned. `body` must not throw.
  void run(const std::function<void(unsigned)>& body);

  // Splits [0, n) into size() contiguous ranges and calls body(thread, begin, end).
  void for_range(size_t n, const std::function<void(unsigned, size_t, size_t)>& body);

 private:
  void work(unsigned index);

  std::vector<std::thread> workers_;
  const std::function<void(unsigned)>* body_ = nullptr;
  std::atomic<uint32_t> round_{0};
  std::atomic<uint32_t> running_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace coregain
