#include "core/copy_rate.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "core/buffer.h"
#include "core/cpu.h"
#include "core/thread_pool.h"

namespace coregain {

double copy_rate(unsigned threads, const Control& control) {
  constexpr size_t kBytes = size_t{1} << 30;  // of both sides, of all threads
  constexpr int kRounds = 5;
  ThreadPool pool(threads);
  const size_t each = std::min(kBytes, physical_memory() / 8) / 2 / pool.size();
  std::vector<Buffer<char>> from(pool.size()), to(pool.size());
  // by the thread that uses it, so that it lies near; two values, or both might be one page of zeros
  pool.run([&](unsigned t) {
    from[t] = Buffer<char>(each);
    to[t] = Buffer<char>(each);
    std::memset(from[t].data(), 1, each);
    std::memset(to[t].data(), 2, each);
  });
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    control.check();
    const auto start = std::chrono::steady_clock::now();
    pool.run([&](unsigned t) { std::memcpy(to[t].data(), from[t].data(), each); });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2 * static_cast<double>(each) * static_cast<double>(pool.size()) / seconds.count());
  }
  return best;
}

}  // namespace coregain
