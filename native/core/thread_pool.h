// A few threads that run the same function side by side, step after step.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
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

  // Workers compute with StandardArithmetic (core/cpu.h); the caller sees to its own.
  // Calls body(0) .. body(size() - 1), one on each thread; returns when all have returned, and throws what one threw.
  void run(const std::function<void(unsigned)>& body);

  // Hands out [0, n) in blocks of `block` to whichever thread is free (a thread that the system has put aside holds up
  // nobody) and calls body(thread, begin, end) for each.
  void for_blocks(size_t n, size_t block, const std::function<void(unsigned, size_t, size_t)>& body);

 private:
  void work(unsigned index);
  void call(unsigned index);

  std::vector<std::thread> workers_;
  const std::function<void(unsigned)>* body_ = nullptr;
  std::vector<std::exception_ptr> thrown_;  // by thread
  std::atomic<uint32_t> round_{0};
  std::atomic<uint32_t> running_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace coregain
