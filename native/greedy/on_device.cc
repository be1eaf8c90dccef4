// The engine of a CUDA device. The device chooses the rows; this side repeats every choice with exact integers, for the
// gains and so that it can decide what float64 leaves undecided. It runs while the device is on the next steps.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/cuda_library.h"
#include "greedy/decide.h"
#include "greedy/engines.h"
#include "greedy/objective.h"
#include "greedy/points.h"
#include "kernels/dot.h"

namespace coregain {
namespace {

constexpr int kDeviceBits = 126;  // of the integers in which a device keeps w

[[noreturn]] void unfit(const std::string& why) {
  throw Error("ERR_DEVICE", why + " Use the device \"cpu\".");
}

void check(CudaCode code, const CudaFailure& failure, const Control& control) {
  if (code == CudaCode::kOk) return;
  if (code == CudaCode::kCancelled) control.check();
  throw cuda_error(code, failure);
}

// The two lowest limbs of each integer, its sign extended.
std::vector<uint64_t> two_limbs(const FixedVector& vector, size_t d) {
  std::vector<uint64_t> out(2 * d);
  for (size_t j = 0; j < d; ++j) {
    const uint64_t* limbs = vector.element(j);
    out[2 * j] = limbs[0];
    out[2 * j + 1] = vector.limbs() > 1 ? limbs[1] : (limbs[0] >> 63 != 0 ? ~uint64_t{0} : 0);
  }
  return out;
}

class OnDevice {
 public:
  OnDevice(const Problem& problem, const Points& points, const CudaTable& library, ThreadPool& pool, Control& control,
           int32_t window, int32_t cluster)
      : problem_(problem),
        points_(points),
        library_(library),
        pool_(pool),
        control_(control),
        window_(window),
        cluster_(cluster),
        objective_(points, dot_kernel(problem.simd), vectors_kernel(problem.simd)),
        taken_(points.n, 0) {}

  Partition run() {
    open();
    out_.bins.assign(points_.n, -1);
    const CudaGreedyCallbacks callbacks = {
        .user = this,
        .chosen =
            [](void* self, const int32_t* rows, int32_t count) {
              return static_cast<OnDevice*>(self)->guarded([&](OnDevice& me) {
                me.take(rows, static_cast<size_t>(count));
                return 0;
              });
            },
        .decide =
            [](void* self, const int32_t* rows, int32_t count) {
              return static_cast<OnDevice*>(self)->guarded([&](OnDevice& me) {
                std::vector<size_t> contenders(rows, rows + count);
                return static_cast<int32_t>(decide(me.objective_, contenders, me.pool_, me.points_.d, me.out_));
              });
            },
    };
    for (bin_ = 0; bin_ < problem_.bins; ++bin_) {
      objective_.begin_bin(taken_);
      CudaFailure failure;
      const auto members = static_cast<int64_t>(points_.n - out_.order.size());
      const CudaCode code = library_.greedy_bin(engine_.get(), members, static_cast<int32_t>(bin_size(problem_, bin_)),
                                                &callbacks, &failure);
      if (thrown_) std::rethrow_exception(thrown_);
      check(code, failure, control_);
    }
    report();
    return std::move(out_);
  }

 private:
  // What a callback throws must not cross the border.
  template <typename F>
  int32_t guarded(const F& body) {
    try {
      control_.check();
      return body(*this);
    } catch (...) {
      thrown_ = std::current_exception();
      return -1;
    }
  }

  void open() {
    if (points_.bits > kDeviceBits) unfit("These values are too far apart for the 128-bit sums of a device.");
    if (points_.cosine && points_.x.is_double && has_extremes())
      unfit("A row has values beyond 2^400 or below 2^-400, which a device does not normalise.");
    const std::vector<uint64_t> total = two_limbs(points_.total, points_.d);
    const CudaGreedyProblem on_device = {
        .device = problem_.device,
        .mode = problem_.engine == Engine::kGram   ? CudaMode::kGram
                : problem_.engine == Engine::kLazy ? CudaMode::kLookAhead
                                                   : CudaMode::kAuto,
        .x = points_.x.data,
        .is_double = points_.x.is_double ? 1 : 0,
        .cosine = points_.cosine ? 1 : 0,
        .float64_is_exact = objective_.float64_is_exact() ? 1 : 0,
        .rows = static_cast<int64_t>(points_.n),
        .cols = static_cast<int64_t>(points_.d),
        .chains = static_cast<int32_t>(points_.first.size()),
        .first = points_.first.data(),
        .next_equal = points_.next_equal.data(),
        .q = points_.q.data(),
        .length = points_.cosine ? points_.length.data() : nullptr,
        .origin = points_.origin.data(),
        .total = total.data(),
        .f = points_.f,
        .terms = points_.terms,
        .q_error = objective_.q_error(),
        .unit = points_.unit,
        .scale = points_.scale,
        .longest_bin = static_cast<int32_t>(bin_size(problem_, 0)),
        .window = window_,
        .cluster = cluster_,
        .memory = problem_.memory,
    };
    void* engine = nullptr;
    CudaFailure failure;
    const CudaCode code = library_.greedy_open(&on_device, &engine, &failure);
    engine_ = {engine, library_.greedy_close};
    check(code, failure, control_);
  }

  // Whether Points::z multiplies a row by a power of two before it divides by the length.
  bool has_extremes() const {
    std::vector<uint8_t> found(pool_.size(), 0);
    pool_.for_blocks(points_.n, 256, [&](unsigned t, size_t begin, size_t end) {
      control_.check();
      for (size_t i = begin; i < end; ++i) {
        double largest = 0;
        for (size_t j = 0; j < points_.d; ++j) largest = std::max(largest, std::abs(points_.x.f64(i)[j]));
        if (largest > 0 && std::abs(std::ilogb(largest)) >= 400) found[t] = 1;
      }
    });
    return *std::max_element(found.begin(), found.end()) != 0;
  }

  void take(const int32_t* rows, size_t count) {
    const size_t before = out_.order.size();
    out_.order.insert(out_.order.end(), rows, rows + count);
    out_.gains.resize(before + count);
    objective_.take_all(rows, count, pool_, out_.gains.data() + before);
    for (size_t i = 0; i < count; ++i) {
      out_.bins[static_cast<size_t>(rows[i])] = static_cast<int32_t>(bin_);
      taken_[static_cast<size_t>(rows[i])] = 1;
    }
    control_.done(out_.order.size());
  }

  void report() {
    CudaGreedyReport report{};
    library_.greedy_report(engine_.get(), &report);
    const bool gram = report.mode == CudaMode::kGram;
    out_.engine = gram ? "gram" : "lazy";
    out_.simd = "cuda";
    out_.dot_products = report.dot_products;
    out_.float64_decisions = report.float64_steps;
    char why[250];
    std::snprintf(why, sizeof why, "%s, %.2f GB of the device, %s; %s; %.0f launches, %.0f refreshes",
                  gram ? "all inner products fit" : "a window of inner products",
                  static_cast<double>(report.device_bytes) / 1e9,
                  report.x_resident != 0 ? "rows resident" : "rows read over the bus", steps_of(report).c_str(),
                  static_cast<double>(report.launches), static_cast<double>(report.refreshes));
    out_.why = why;
  }

  // Which blocks ran the steps.
  static std::string steps_of(const CudaGreedyReport& report) {
    if (report.cluster == 0) return "steps in a grid";
    return "steps in a cluster of " + std::to_string(report.cluster) + " blocks" +
           (report.grids == 0 ? "" : ", " + std::to_string(report.grids) + " times in a grid");
  }

  const Problem& problem_;
  const Points& points_;
  const CudaTable& library_;
  ThreadPool& pool_;
  Control& control_;
  const int32_t window_, cluster_;
  Objective objective_;
  std::vector<uint8_t> taken_;  // [N]
  Partition out_;
  size_t bin_ = 0;
  std::exception_ptr thrown_;
  std::unique_ptr<void, void (*)(void*)> engine_{nullptr, nullptr};
};

}  // namespace

Partition on_device(const Problem& problem, const Points& points, const CudaTable& library, ThreadPool& pool,
                    Control& control, int32_t window, int32_t cluster) {
  return OnDevice(problem, points, library, pool, control, window, cluster).run();
}

}  // namespace coregain
