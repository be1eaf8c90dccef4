// The engine's order is the order of exact arithmetic, for every kind of data, thread count and instruction set.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "clouds.h"
#include "core/cpu.h"
#include "core/thread_pool.h"
#include "greedy/engines.h"
#include "greedy/naive.h"
#include "greedy/points.h"
#include "greedy/problem.h"

namespace coregain {
namespace {

Partition run(const Problem& problem) {
  Control control;
  return greedy_bins(problem, control);
}

std::string describe(const std::string& kind, const Problem& p) {
  return kind + ", " + std::to_string(p.x.rows) + " x " + std::to_string(p.x.cols) +
         (p.x.is_double ? " float64" : " float32") + (p.gain == Gain::kCosine ? " cosine, " : " squared distance, ") +
         std::to_string(p.bins) + (p.remainder == Remainder::kDrop ? " bins, drop, " : " bins, spread, ") +
         std::to_string(p.threads) + " threads " + p.simd;
}

void expect_same(const Partition& got, const Partition& want, const std::string& what) {
  if (got.order != want.order || got.bins != want.bins) check::fail(__FILE__, __LINE__, "order differs: " + what);
}

// Sets so small that every rule of the lazy engine meets a few dozen points.
Partition run_nested(const Problem& problem, size_t depth) {
  const StandardArithmetic standard;
  Control control;
  ThreadPool pool(problem.threads);
  const Points points(problem, pool, control);
  return lazy(problem, points, pool, control, {.depth = depth, .smallest = 2});
}

void compare_with_oracle(const std::string& kind, Problem p) {
  const Partition want = oracle(p);
  Partition first;
  p.threads = 2;
  for (const size_t depth : {1, 2, 3}) expect_same(run_nested(p, depth), want, "nested: " + describe(kind, p));
  for (const Engine engine : {Engine::kSweep, Engine::kGram}) {
    p.engine = engine;
    expect_same(run(p), want, (engine == Engine::kGram ? "gram: " : "sweep: ") + describe(kind, p));
  }
  p.engine = Engine::kLazy;
  for (const std::string& level : simd_levels()) {
    for (const unsigned threads : {1U, 2U, 7U}) {
      if (threads > 1 && level != simd_levels().front()) continue;
      p.simd = level;
      p.threads = threads;
      const Partition got = run(p);
      expect_same(got, want, describe(kind, p));
      if (first.order.empty()) first = got;
      EXPECT(got.gains.size() == want.order.size());
      EXPECT(std::memcmp(got.gains.data(), first.gains.data(), 8 * got.gains.size()) == 0);
    }
  }
}

TEST("the order is the oracle's for all kinds of data, gains, types and remainders") {
  Random random{1};
  for (const std::string& kind : kKinds) {
    for (const bool is_double : {false, true}) {
      for (const size_t d : {size_t{1}, size_t{5}, size_t{33}}) {
        const size_t n = d == 33 ? 31 : 41;
        Data data(make(kind, n, d, random), n, d, is_double);
        for (const Gain gain : {Gain::kSquaredEuclidean, Gain::kCosine}) {
          for (const size_t bins : {size_t{1}, size_t{4}, n}) {
            data.problem.gain = gain;
            data.problem.bins = bins;
            data.problem.remainder = bins == 4 ? Remainder::kDrop : Remainder::kSpread;
            compare_with_oracle(kind, data.problem);
          }
        }
      }
    }
  }
}

TEST("float64 data of any exponent, from denormals to the largest: the order is the oracle's") {
  Random random{2};
  for (const int exponent : {-1070, -1040, -700, 700, 1020}) {
    std::vector<double> x(24 * 4);
    for (double& value : x) value = std::ldexp(random.uniform() - 0.5, exponent + static_cast<int>(random.below(3)));
    Data data(x, 24, 4, true);
    data.problem.bins = 3;
    compare_with_oracle("exponent " + std::to_string(exponent), data.problem);
    data.problem.gain = Gain::kCosine;
    compare_with_oracle("exponent " + std::to_string(exponent), data.problem);
  }
  std::vector<double> x(20 * 3);
  for (double& value : x) value = std::ldexp(random.uniform() - 0.5, static_cast<int>(random.below(2090)) - 1068);
  Data data(x, 20, 3, true);
  data.problem.bins = 2;
  compare_with_oracle("all exponents at once", data.problem);
  data.problem.gain = Gain::kCosine;
  compare_with_oracle("all exponents at once", data.problem);
}

TEST("random shapes and kinds: the order is the oracle's") {
  Random random{3};
  for (int trial = 0; trial < 300; ++trial) {
    const size_t n = 1 + random.below(40), d = 1 + random.below(trial % 10 == 0 ? 150 : 20);
    const std::string& kind = kKinds[random.below(kKinds.size())];
    Data data(make(kind, n, d, random), n, d, random.below(2) == 1);
    Problem& p = data.problem;
    p.bins = 1 + random.below(n);
    p.gain = random.below(2) ? Gain::kCosine : Gain::kSquaredEuclidean;
    p.remainder = random.below(2) ? Remainder::kDrop : Remainder::kSpread;
    p.threads = 1 + static_cast<unsigned>(random.below(3));
    const std::vector<std::string> levels = simd_levels();
    p.simd = levels[random.below(levels.size())];
    const Partition want = oracle(p);
    expect_same(run(p), want, "trial " + std::to_string(trial) + ": " + describe(kind, p));
    expect_same(run_nested(p, 1 + random.below(4)), want, "nested trial " + std::to_string(trial));
  }
}

#if defined(__x86_64__)
TEST("a caller that flushes denormals to zero gets the same order, and its setting back") {
  Random random{11};
  Data data(make("denormal", 60, 4, random), 60, 4, false);
  data.problem.bins = 3;
  data.problem.threads = 2;
  const Partition want = oracle(data.problem);
  const unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before | 0x8040);
  const Partition got = run(data.problem);
  const unsigned after = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before);
  EXPECT((after & 0x8040) == 0x8040);
  expect_same(got, want, "flush to zero");
}
#endif

TEST("larger data: the float64 twin where gaps are clear, and the same bits for every level and thread count") {
  Random random{4};
  for (const std::string kind : {"isotropic", "mixture", "far mean", "duplicates", "huge", "tiny", "unit sphere"}) {
    for (const Gain gain : {Gain::kSquaredEuclidean, Gain::kCosine}) {
      const size_t n = 700, d = 130;
      Data data(make(kind, n, d, random), n, d, false);
      Problem& p = data.problem;
      p.gain = gain;
      p.bins = 10;
      const Partition twin = naive(p);
      Partition first;
      for (const std::string& level : simd_levels()) {
        for (const unsigned threads : {1U, 2U, 7U}) {
          p.simd = level;
          p.threads = threads;
          const Partition got = run(p);
          EXPECT(got.engine == "lazy" && got.simd == level && got.threads == threads);
          if (first.order.empty()) first = got;
          expect_same(got, first, describe(kind, p));
          EXPECT(got.gains == first.gains);
        }
      }
      expect_same(first, twin, describe(kind, p) + " against the float64 twin");
      double worst = 0;
      for (size_t t = 0; t < n; ++t)
        worst = std::max(worst, std::abs(first.gains[t] - twin.gains[t]) / std::abs(twin.gains[0]));
      if (!(worst < 1e-11))
        check::fail(__FILE__, __LINE__, "gains off by " + std::to_string(worst) + ": " + describe(kind, p));
    }
  }
}

TEST("sets within sets: the order of the sweep, through a = 0 and to the last point") {
  Random random{12};
  for (const std::string kind : {"isotropic", "mixture", "far mean", "duplicates", "unit sphere", "integer grid"}) {
    for (const size_t bins : {size_t{1}, size_t{7}}) {
      const size_t n = 2600, d = 24;
      Data data(make(kind, n, d, random), n, d, bins == 7);
      Problem& p = data.problem;
      p.bins = bins;
      p.threads = 2;
      p.engine = Engine::kSweep;
      const Partition want = run(p);
      for (const Engine engine : {Engine::kLazy, Engine::kGram, Engine::kAuto}) {
        p.engine = engine;
        expect_same(run(p), want, describe(kind, p));
      }
      expect_same(run_nested(p, 3), want, "nested: " + describe(kind, p));
    }
  }
}

TEST("100,000 points: at sampled steps the chosen row is the best, derived anew") {
  Random random{13};
  for (const std::string kind : {"isotropic", "mixture", "unit sphere", "duplicates"}) {
    const size_t n = 100000, d = 20;
    const std::vector<double> x = make(kind, n, d, random);
    Data data(x, n, d, true);
    data.problem.bins = 10;
    const Partition got = run(data.problem);
    EXPECT(std::set<int32_t>(got.order.begin(), got.order.end()).size() == n);
    std::vector<size_t> step_of(n);
    for (size_t t = 0; t < n; ++t) step_of[static_cast<size_t>(got.order[t])] = t;
    std::vector<size_t> samples = {0, 1, n / 10 - 1, n / 10, n / 2, n - n / 20, n - 2};
    for (int s = 0; s < 25; ++s) samples.push_back(random.below(n));
    for (const size_t t : samples) {
      const size_t start = t / (n / 10) * (n / 10);
      std::vector<long double> w(d, 0);
      for (size_t i = 0; i < n; ++i) {
        if (step_of[i] < start) continue;
        const long double sign = step_of[i] < t ? 1 : -1;
        for (size_t j = 0; j < d; ++j) w[j] += sign * static_cast<long double>(x[i * d + j]);
      }
      const long double a = 2 * static_cast<long double>(t - start) - static_cast<long double>(n - start);
      const auto score = [&](size_t i) {
        long double sum = 0;
        for (size_t j = 0; j < d; ++j) {
          const auto value = static_cast<long double>(x[i * d + j]);
          sum += a * value * value - 2 * value * w[j];
        }
        return sum;
      };
      const auto chosen = static_cast<size_t>(got.order[t]);
      const long double best = score(chosen), slack = 1e-12L * static_cast<long double>(n);
      for (size_t i = 0; i < n; ++i) {
        if (step_of[i] <= t) continue;
        const long double other = score(i);
        const bool lost = other > best + slack;
        // an equal row that was chosen later must be a later row
        const bool tie = other == best && i < chosen && std::equal(&x[i * d], &x[i * d] + d, &x[chosen * d]);
        if (lost || tie) check::fail(__FILE__, __LINE__, kind + ", step " + std::to_string(t));
      }
    }
  }
}

TEST("the Gram engine refuses what does not fit, and says what does") {
  Random random{14};
  Data data(make("isotropic", 100, 4, random), 100, 4, false);
  data.problem.engine = Engine::kGram;
  data.problem.memory = 39999;
  EXPECT_THROWS(run(data.problem));
  data.problem.memory = 40000;
  EXPECT(run(data.problem).engine == "gram");
}

TEST("many columns: sums go on in float64 after each chunk") {
  Random random{5};
  const size_t n = 25, d = 9001;
  Data data(make("isotropic", n, d, random), n, d, false);
  data.problem.bins = 3;
  compare_with_oracle("isotropic", data.problem);
  data.problem.gain = Gain::kCosine;
  compare_with_oracle("isotropic", data.problem);
}

TEST("spread fills every bin to within one point; drop leaves N mod m rows out") {
  Random random{6};
  Data data(make("isotropic", 23, 3, random), 23, 3, false);
  data.problem.bins = 5;
  Partition p = run(data.problem);
  for (int32_t bin = 0; bin < 5; ++bin) EXPECT(std::count(p.bins.begin(), p.bins.end(), bin) == (bin < 3 ? 5 : 4));
  EXPECT(std::set<int32_t>(p.order.begin(), p.order.end()).size() == 23);
  data.problem.remainder = Remainder::kDrop;
  p = run(data.problem);
  for (int32_t bin = 0; bin < 5; ++bin) EXPECT(std::count(p.bins.begin(), p.bins.end(), bin) == 4);
  EXPECT(std::count(p.bins.begin(), p.bins.end(), -1) == 3);
  EXPECT(p.order.size() == 20);
}

TEST("equal rows come in ascending order and need no exact decision") {
  Random random{7};
  Data data(make("all equal", 500, 20, random), 500, 20, false);
  data.problem.bins = 7;
  const Partition p = run(data.problem);
  EXPECT(std::is_sorted(p.order.begin(), p.order.end()));
  EXPECT(p.exact_decisions == 0 && p.float64_decisions == 0);
}

TEST("true ties between rows that differ go to the lowest row") {
  // the corners of a cube: all gains are equal at first
  std::vector<double> corners;
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 3; ++j) corners.push_back(0.1 * ((i >> j & 1) ? 1 : -1));
  Data data(corners, 8, 3, true);
  const Partition p = run(data.problem);
  EXPECT(p.order[0] == 0);
  EXPECT(p.exact_decisions > 0);
  expect_same(p, oracle(data.problem), "cube");
}

TEST("a NaN or an infinity is refused, naming the first row") {
  Random random{8};
  for (const bool is_double : {false, true}) {
    for (const Gain gain : {Gain::kSquaredEuclidean, Gain::kCosine}) {
      for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
        std::vector<double> x = make("isotropic", 3000, 7, random);
        x[2999 * 7] = x[1234 * 7 + 5] = bad;
        Data data(x, 3000, 7, is_double);
        data.problem.gain = gain;
        try {
          run(data.problem);
          check::fail(__FILE__, __LINE__, "accepted");
        } catch (const Error& e) {
          EXPECT(e.code == "ERR_NOT_FINITE");
          EXPECT(e.row == 1234);
          EXPECT(std::string(e.what()).find("Row 1234, column 5 is ") == 0);
        }
      }
    }
  }
}

TEST("impossible requests are refused with a code") {
  Random random{9};
  Data data(make("isotropic", 5, 2, random), 5, 2, false);
  const auto code = [&](size_t bins, const char* simd) -> std::string {
    data.problem.bins = bins;
    data.problem.simd = simd;
    try {
      run(data.problem);
    } catch (const Error& e) {
      return e.code;
    }
    return "";
  };
  EXPECT(code(0, "") == "ERR_BINS");
  EXPECT(code(6, "") == "ERR_BINS");
  EXPECT(code(2, "mmx") == "ERR_SIMD");
  EXPECT(code(2, "").empty());
}

TEST("a cancel ends the run, and progress counts the points placed") {
  Random random{10};
  Data data(make("isotropic", 2000, 16, random), 2000, 16, false);
  data.problem.bins = 4;
  int32_t words[2] = {0, 0};
  {
    Control control(words);
    greedy_bins(data.problem, control);
    EXPECT(words[1] == 2000);
  }
  words[1] = 0;
  Control control(words);
  std::thread stop([&] {
    while (std::atomic_ref(words[1]).load() < 10) std::this_thread::yield();
    control.cancel();
  });
  std::string code;
  try {
    greedy_bins(data.problem, control);
  } catch (const Error& e) {
    code = e.code;
  }
  stop.join();
  EXPECT(code == "ERR_CANCELLED");
  EXPECT(words[1] < 2000);
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
