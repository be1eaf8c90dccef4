// Panels are right on every instruction set; a selection depends neither on threads nor on how gains are asked for.
#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"
#include "kernels/panel.h"
#include "objectives/maximize.h"
#include "objectives/sieve.h"

namespace coregain::objectives {
namespace {

std::vector<float> normal(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> draw;
  std::vector<float> out(count);
  for (float& value : out) value = draw(random);
  return out;
}

TEST("panel products are near the exact ones, whatever the place and the number of rows") {
  constexpr size_t kPoints = PanelKernel::kPoints;
  for (const std::string& level : simd_levels()) {
    const PanelKernel& kernel = panel_kernel(level);
    for (const size_t d : {1, 3, 64, 127, 128, 129, 1000}) {
      // memory that ends where the values end, so that the address sanitizer sees a read beyond
      std::vector<float> panel = normal(kPoints * d, d);
      const std::vector<float> rows = normal(kPoints * d, d + 1);
      for (size_t j = 0; j < d; ++j) panel[j * kPoints + 11] = panel[j * kPoints + 2];  // two equal points
      std::vector<float> all(kPoints * kPoints);
      kernel.products(panel.data(), rows.data(), kPoints, d, all.data(), kPoints);
      for (size_t r = 0; r < kPoints; ++r) {
        EXPECT(all[r * kPoints + 2] == all[r * kPoints + 11]);
        std::vector<float> one(kPoints);
        kernel.products(panel.data(), rows.data() + r * d, 1, d, one.data(), kPoints);
        EXPECT(std::equal(one.begin(), one.end(), all.begin() + static_cast<ptrdiff_t>(r * kPoints)));
        for (size_t t = 0; t < kPoints; ++t) {
          double exact = 0, magnitude = 0;
          for (size_t j = 0; j < d; ++j) {
            const double term = static_cast<double>(panel[j * kPoints + t]) * static_cast<double>(rows[r * d + j]);
            exact += term;
            magnitude += std::fabs(term);
          }
          const double roundings = static_cast<double>(std::min(d, PanelKernel::kChunk) + d / PanelKernel::kChunk + 1);
          EXPECT(std::fabs(static_cast<double>(one[t]) - exact) <= 1.01 * roundings * 0x1p-24 * magnitude);
        }
      }
    }
  }
}

TEST("sums of coverage: the formula, and no growth when more is covered") {
  const size_t n = 64;
  const std::vector<float> s = normal(n, 3);
  std::vector<float> reached = normal(n, 4);
  const std::vector<float> cap = normal(n, 5);
  for (const std::string& level : simd_levels()) {
    const PanelKernel& kernel = panel_kernel(level);
    double above = 0, capped = 0, within = 0;
    for (size_t i = 0; i < n; ++i) {
      above += static_cast<double>(std::max(0.F, s[i] - reached[i]));
      capped += static_cast<double>(std::max(0.F, std::min(s[i], cap[i]) - reached[i]));
      within += static_cast<double>(std::min(s[i], cap[i]));
    }
    EXPECT(std::fabs(kernel.above(s.data(), reached.data(), nullptr, n) - above) < 1e-12);
    EXPECT(std::fabs(kernel.above(s.data(), reached.data(), cap.data(), n) - capped) < 1e-12);
    EXPECT(std::fabs(kernel.within(s.data(), cap.data(), n) - within) < 1e-12);
    std::vector<float> similarity = s;
    kernel.similarity(similarity.data(), n);
    for (size_t i = 0; i < n; ++i) EXPECT(std::fabs(similarity[i] - std::clamp(0.5F + s[i] / 2, 0.F, 1.F)) < 1e-7F);
    double last = kernel.above(s.data(), reached.data(), nullptr, n);
    std::vector<float> more = reached;
    for (size_t i = 0; i < n; ++i) {
      more[i] += 1e-7F;
      const double now = kernel.above(s.data(), more.data(), nullptr, n);
      EXPECT(now <= last);
      last = now;
    }
  }
}

struct Points {
  std::vector<float> values;
  Matrix matrix;
  Points(size_t rows, size_t cols, uint64_t seed)
      : values(normal(rows * cols, seed)), matrix{values.data(), false, rows, cols} {}
};

const std::vector<std::string> kNames = {"graph-cut",          "squared-distance",   "facility-location",
                                         "k-center",           "disparity-sum",      "disparity-min",
                                         "log-determinant",    "saturated-coverage", "facility-location-mi",
                                         "log-determinant-cg", "log-determinant-mi", "facility-location-query-mi"};

Task task_of(const std::string& name, const Points& points, const Points& examples) {
  Task task;
  task.x = points.matrix;
  task.rows = points.matrix.rows;
  task.allowed.assign(task.rows, 1);
  task.budget = task.rows / 3;
  Part part;
  part.name = name;
  part.alpha = 0.2;
  part.examples = examples.matrix;
  task.parts.push_back(part);
  return task;
}

TEST("the same for every number of threads, and across instruction sets where no two gains are close") {
  const Points points(97, 7, 1);
  const Points examples(5, 7, 2);
  for (const std::string& name : kNames) {
    Task task = task_of(name, points, examples);
    task.threads = 1;
    Control control;
    const Maximum one = maximize(task, control);
    EXPECT(one.rows.size() == task.budget && one.gains.size() == task.budget);
    for (const unsigned threads : {2U, 7U}) {
      task.threads = threads;
      const Maximum many = maximize(task, control);
      EXPECT(many.rows == one.rows && many.gains == one.gains && many.evaluations == one.evaluations);
    }
    for (const std::string& level : simd_levels()) {
      task.simd = level;
      EXPECT(std::fabs(maximize(task, control).value - one.value) <= 1e-4 * (1 + std::fabs(one.value)));
    }
  }
}

TEST("lazy equals naive to the last bit for facility location") {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Points points(150, 4, seed);
    Task task = task_of("facility-location", points, points);
    Control control;
    const Maximum naive = maximize(task, control);
    task.optimizer = Optimizer::kLazy;
    const Maximum lazy = maximize(task, control);
    EXPECT(lazy.rows == naive.rows && lazy.gains == naive.gains && lazy.evaluations < naive.evaluations);
  }
}

TEST("a cancelled job throws, and so does a row that is not finite, with its number") {
  Points points(200, 5, 1);
  Task task = task_of("facility-location", points, points);
  Control control;
  control.cancel();
  std::string code;
  try {
    static_cast<void>(maximize(task, control));
  } catch (const Error& error) {
    code = error.code;
  }
  EXPECT(code == "ERR_CANCELLED");

  points.values[123 * 5 + 4] = std::nanf("");
  points.values[150 * 5] = std::nanf("");
  for (const unsigned threads : {1U, 3U}) {
    task.threads = threads;
    Control other;
    int64_t row = -1;
    try {
      static_cast<void>(maximize(task, other));
    } catch (const Error& error) {
      row = error.row;
    }
    EXPECT(row == 123);
  }
}

TEST("a sieve gives the same whatever the batches") {
  const Points points(120, 6, 8);
  const Points reference(33, 6, 9);
  for (const bool log_determinant : {false, true}) {
    std::vector<double> rows;
    for (const size_t size : {120, 16, 7}) {
      SieveOptions options;
      options.log_determinant = log_determinant;
      options.budget = 9;
      options.cols = 6;
      const auto* bytes = reinterpret_cast<const uint8_t*>(reference.values.data());
      options.reference.assign(bytes, bytes + reference.values.size() * sizeof(float));
      options.reference_rows = 33;
      Sieve sieve(options);
      Control control;
      for (size_t from = 0; from < 120; from += size)
        sieve.fit({points.matrix.f32(from), false, std::min<size_t>(size, 120 - from), 6}, control);
      const Sieved found = sieve.best();
      EXPECT(!found.rows.empty() && found.rows.size() <= 9);
      if (rows.empty()) rows = found.rows;
      EXPECT(found.rows == rows);
    }
  }
}

}  // namespace
}  // namespace coregain::objectives

TEST_MAIN()
