#include "core/thread_pool.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "check.h"

namespace coregain {
namespace {

TEST("every thread is called once a round, round after round") {
  for (const unsigned threads : {1U, 2U, 5U}) {
    ThreadPool pool(threads);
    EXPECT(pool.size() == threads);
    std::vector<int> calls(threads, 0);
    for (int round = 0; round < 3000; ++round) pool.run([&](unsigned t) { ++calls[t]; });
    for (const int count : calls) EXPECT(count == 3000);
  }
}

TEST("blocks cover the range once, whatever its length") {
  ThreadPool pool(3);
  for (const size_t n : {0, 1, 7, 64, 65, 1000}) {
    std::vector<std::atomic<int>> seen(n);
    pool.for_blocks(n, 16, [&](unsigned t, size_t begin, size_t end) {
      EXPECT(t < 3 && begin < end && end <= begin + 16);
      for (size_t i = begin; i < end; ++i) ++seen[i];
    });
    for (const auto& count : seen) EXPECT(count == 1);
  }
}

TEST("what a thread throws reaches the caller, and the pool goes on") {
  ThreadPool pool(3);
  for (unsigned thrower = 0; thrower < 3; ++thrower) {
    EXPECT_THROWS(pool.run([&](unsigned t) {
      if (t == thrower) throw std::runtime_error("no");
    }));
  }
  std::atomic<int> calls = 0;
  pool.run([&](unsigned) { ++calls; });
  EXPECT(calls == 3);
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
