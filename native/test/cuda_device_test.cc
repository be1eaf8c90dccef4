// The CUDA engine on a real device: what the emulation cannot show (docs/gpu.md). Without a device it says why and is
// skipped.
//
//   cuda_device_test [small]     small: minutes, not hours, under compute-sanitizer
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "clouds.h"
#include "core/cpu.h"
#include "core/cuda_library.h"
#include "greedy/engines.h"
#include "greedy/points.h"
#include "greedy/problem.h"

namespace coregain {
namespace {

bool small = false;

Partition run(const Problem& problem) {
  Control control;
  return greedy_bins(problem, control);
}

// How the device is to run it; `cluster`: most blocks of a cluster for the look-ahead's steps, 0 = a grid.
struct Way {
  Engine engine;
  int32_t cluster;
};
constexpr Way kWays[] = {{Engine::kGram, 0}, {Engine::kLazy, 0}, {Engine::kLazy, 8}, {Engine::kLazy, 16}};

Partition run(Problem problem, const Way& way) {
  problem.device = 0;
  problem.engine = way.engine;
  const StandardArithmetic standard;
  const auto start = std::chrono::steady_clock::now();
  Control control;
  ThreadPool pool(problem.threads);
  const Points points(problem, pool, control);
  Partition out = on_device(problem, points, *cuda_support().table, pool, control, 0, way.cluster);
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

void compare(const std::string& kind, size_t n, size_t d, bool is_double, size_t bins, size_t memory = 0) {
  Random random{n + d};
  Data data(make(kind, n, d, random), n, d, is_double);
  Problem& p = data.problem;
  p.bins = bins;
  for (const Gain gain : {Gain::kSquaredEuclidean, Gain::kCosine}) {
    p.gain = gain;
    p.device = -1;
    p.engine = Engine::kAuto;
    p.memory = 0;
    const Partition want = run(p);
    p.memory = memory;
    for (const Way& way : kWays) {
      if (memory > 0 && way.engine == Engine::kGram) continue;
      const Partition got = run(p, way);
      std::printf("    %s, %zu x %zu: %s (%.3f s, %.3f s on the processor)\n", kind.c_str(), n, d, got.why.c_str(),
                  got.seconds, want.seconds);
      if (got.order != want.order) {
        size_t at = 0;
        while (got.order[at] == want.order[at]) ++at;
        check::fail(__FILE__, __LINE__, "order differs at step " + std::to_string(at) + ": " + kind);
      }
      EXPECT(std::memcmp(got.gains.data(), want.gains.data(), 8 * want.gains.size()) == 0);
    }
  }
}

TEST("small problems of every kind") {
  for (const std::string& kind : kKinds) {
    if (kind == "mixed scales") continue;  // beyond 126 bits: refused
    compare(kind, 300, 33, false, 4);
  }
  compare("isotropic", 300, 33, true, 4);
}

TEST("thousands of points, more than one tile, every block") {
  if (small) return compare("isotropic", 3000, 70, false, 3);
  compare("isotropic", 20000, 256, false, 10);
  compare("mixture", 9000, 100, false, 10);
  compare("unit sphere", 9000, 64, false, 3);
  compare("duplicates", 9000, 64, false, 10);
}

TEST("rows in pinned host memory") {
  if (small) return;
  compare("isotropic", 20000, 512, false, 10, size_t{110} << 20);
}

}  // namespace

void be_small() {
  small = true;
}

}  // namespace coregain

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "small") coregain::be_small();
  const coregain::CudaSupport& cuda = coregain::cuda_support();
  if (cuda.table == nullptr) {
    std::printf("SKIPPED: %s\n", cuda.reason.c_str());
    return 77;
  }
  return check::run();
}
