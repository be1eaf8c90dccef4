// The CUDA engine, compiled for the processor (cuda_emulation.h): its order is that of exact arithmetic in both modes,
// and its kernels keep the bounds that docs/gpu.md proves.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "clouds.h"
#include "core/cpu.h"
#include "cuda_library_emulated.h"
#include "greedy/engines.h"
#include "greedy/naive.h"
#include "greedy/points.h"

namespace coregain {
namespace {

using cuda::emulated;

struct Setup {
  explicit Setup(const Problem& p) : pool(p.threads), points(p, pool, control) {}
  const StandardArithmetic standard;
  Control control;
  ThreadPool pool;
  Points points;
};

// `cluster`: most blocks of a cluster for the look-ahead's steps, 0 = a grid.
Partition run(Problem problem, int32_t window = 0, int32_t cluster = 16) {
  problem.device = 0;
  Setup setup(problem);
  return on_device(problem, setup.points, *coregain_cuda_table(), setup.pool, setup.control, window, cluster);
}
Partition run_on_processor(const Problem& problem) {
  Setup setup(problem);
  return sweep(problem, setup.points, setup.pool, setup.control);
}

std::string code_of(const Problem& problem, std::string* message = nullptr, int32_t window = 0) {
  try {
    run(problem, window);
    return "";
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code;
  }
}

// All ways to run the look-ahead's steps.
constexpr int32_t kClusters[] = {0, 8, 16};
std::string steps_of(int32_t cluster) {
  return cluster == 0 ? "steps in a grid;" : "steps in a cluster of " + std::to_string(cluster) + " blocks;";
}
bool says(const Partition& partition, const std::string& words) {
  return partition.why.find(words) != std::string::npos;
}

void expect_same(const Partition& got, const Partition& want, const std::string& what) {
  if (got.order != want.order || got.bins != want.bins) check::fail(__FILE__, __LINE__, "order differs: " + what);
  if (got.gains.size() != want.gains.size() ||
      std::memcmp(got.gains.data(), want.gains.data(), 8 * got.gains.size()) != 0)
    check::fail(__FILE__, __LINE__, "gains differ: " + what);
}

TEST("the order is the oracle's in both modes, for all kinds of data, gains and types") {
  Random random{1};
  for (const std::string& kind : kKinds) {
    for (const bool is_double : {false, true}) {
      for (const size_t d : {size_t{1}, size_t{5}, size_t{70}}) {
        const size_t n = d == 5 ? 61 : 31;
        Data data(make(kind, n, d, random), n, d, is_double);
        Problem& p = data.problem;
        p.threads = 1;
        for (const Gain gain : {Gain::kSquaredEuclidean, Gain::kCosine}) {
          p.gain = gain;
          p.bins = 1 + random.below(7);
          p.remainder = random.below(2) == 0 ? Remainder::kSpread : Remainder::kDrop;
          const std::string what = kind + (is_double ? " float64 " : " float32 ") + std::to_string(d) +
                                   (gain == Gain::kCosine ? " cosine" : " squared distance");
          if (Setup(p).points.bits > 126) {
            EXPECT(code_of(p) == "ERR_DEVICE");
            continue;
          }
          p.engine = Engine::kSweep;
          const Partition want = run_on_processor(p);
          if (want.order != oracle(p).order) check::fail(__FILE__, __LINE__, "not the oracle's: " + what);
          p.engine = Engine::kGram;
          expect_same(run(p), want, "gram: " + what);
          p.engine = Engine::kLazy;
          for (const int32_t cluster : kClusters) {
            const Partition got = run(p, 4, cluster);
            expect_same(got, want, "look-ahead, " + steps_of(cluster) + " " + what);
            EXPECT(says(got, steps_of(cluster)));
          }
        }
      }
    }
  }
  EXPECT(emulated().used == 0);
}

TEST("hundreds of points in a window of few: many refreshes, far fewer launches than steps") {
  Random random{2};
  for (const std::string kind : {"isotropic", "mixture", "duplicates", "unit sphere", "far mean", "integer grid"}) {
    const size_t n = 700, d = 40;
    Data data(make(kind, n, d, random), n, d, false);
    Problem& p = data.problem;
    p.threads = 1;
    p.bins = 5;
    for (const Gain gain : {Gain::kSquaredEuclidean, Gain::kCosine}) {
      p.gain = gain;
      const Partition want = run_on_processor(p);
      const auto launches = [&](Engine engine, int32_t cluster, const std::string& what) {
        p.engine = engine;
        const size_t before = emulated().launches;
        expect_same(run(p, 64, cluster), want, kind + " " + what);
        return emulated().launches - before;
      };
      EXPECT(launches(Engine::kGram, 0, "gram") < 40);
      for (const int32_t cluster : kClusters) EXPECT(launches(Engine::kLazy, cluster, steps_of(cluster)) < n);
    }
  }
}

// Scores that differ by less than the products in 16 bits are off.
TEST("points that lie close to a few centres: the bounds are wide enough, and float64 decides") {
  Random random{8};
  const size_t n = 400, d = 24;
  std::vector<double> x(n * d);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < d; ++j)
      x[i * d + j] = std::sin(static_cast<double>((i % 3 + 1) * (j + 2))) + 2e-6 * random.normal();
  Data data(x, n, d, false);
  Problem& p = data.problem;
  p.threads = 1;
  p.bins = 2;
  for (const Gain gain : {Gain::kSquaredEuclidean, Gain::kCosine}) {
    p.gain = gain;
    const Partition want = run_on_processor(p);
    const auto expect_float64 = [&](Engine engine, int32_t cluster, const std::string& what) {
      p.engine = engine;
      const Partition got = run(p, 64, cluster);
      expect_same(got, want, what);
      EXPECT(got.float64_decisions > n / 10);
    };
    expect_float64(Engine::kGram, 0, "gram");
    for (const int32_t cluster : kClusters) expect_float64(Engine::kLazy, cluster, steps_of(cluster));
  }
}

TEST("rows that do not fit on the device are read from pinned memory, to the same order") {
  Random random{3};
  const size_t n = 3000, d = 300;
  Data data(make("isotropic", n, d, random), n, d, false);
  Problem& p = data.problem;
  p.threads = 2;
  p.bins = 40;
  p.remainder = Remainder::kDrop;
  const Partition want = run_on_processor(p);
  const size_t before = emulated().memory;
  // x takes 3.6 MB, the plane 0.96 MB, the smallest window 4.9 MB; the driver is left 64 MiB
  for (const size_t memory : {size_t{86} << 20, size_t{84} << 20, size_t{82} << 20}) {
    emulated().memory = memory;
    emulated().most_used = 0;
    expect_same(run(p), want, "memory " + std::to_string(memory));
    EXPECT(emulated().most_used <= memory);
  }
  emulated().memory = before;
}

TEST("too little memory: a sentence with the bytes and the cure, and nothing is kept") {
  Random random{4};
  const size_t n = 2000, d = 50;
  Data data(make("isotropic", n, d, random), n, d, false);
  Problem& p = data.problem;
  p.bins = 3;
  const size_t before = emulated().memory;
  emulated().memory = size_t{70} << 20;
  std::string message;
  p.engine = Engine::kGram;
  EXPECT(code_of(p, &message) == "ERR_MEMORY");
  EXPECT(message.find("inner products of all pairs of 2000 x 50 values need 0.0") != std::string::npos);
  EXPECT(message.find("Use the engine \"lazy\"") != std::string::npos);
  p.engine = Engine::kAuto;
  EXPECT(code_of(p, &message) == "ERR_MEMORY");
  EXPECT(message.find("Use the device \"cpu\".") != std::string::npos);
  emulated().memory = before;
  EXPECT(emulated().used == 0);
}

TEST("more rows than the multiprocessors have shared memory for: the look-ahead, or a sentence") {
  Random random{9};
  const size_t n = 1800, d = 3;  // 99 KB are 1,664 rows of 60 bytes
  Data data(make("isotropic", n, d, random), n, d, false);
  Problem& p = data.problem;
  p.threads = 1;
  p.bins = 60;
  p.remainder = Remainder::kDrop;
  const unsigned before = emulated().multiprocessors;
  emulated().multiprocessors = 1;
  const Partition got = run(p);
  std::string message;
  p.engine = Engine::kGram;
  EXPECT(code_of(p, &message) == "ERR_MEMORY");
  emulated().multiprocessors = before;
  p.engine = Engine::kAuto;
  EXPECT(got.engine == "lazy");
  expect_same(got, run_on_processor(p), "one multiprocessor");
  EXPECT(message ==
         "The scores of 1800 rows do not fit in the multiprocessors of this device, which hold 1664. Use the engine "
         "\"lazy\", or the device \"cpu\".");
}

// The emulated device as it was, at the end.
struct Restore {
  ~Restore() {
    device.major = major;
    device.cluster = cluster;
    device.cluster_launches = cluster_launches;
    device.multiprocessors = multiprocessors;
  }
  cuda::Emulated& device = emulated();
  const int major = device.major;
  const unsigned cluster = device.cluster, multiprocessors = device.multiprocessors;
  const size_t cluster_launches = device.cluster_launches;
};

TEST("a cluster of 16 blocks where the device runs one, else of 8, else a grid, and the order is the same") {
  const Restore restore;
  Random random{10};
  const size_t n = 400, d = 30;
  Data data(make("isotropic", n, d, random), n, d, false);
  Problem& p = data.problem;
  p.threads = 1;
  p.bins = 3;
  p.engine = Engine::kLazy;
  const Partition want = run_on_processor(p);
  const auto expect_steps = [&](const std::string& steps, const std::string& where) {
    const Partition got = run(p, 64);
    expect_same(got, want, where);
    if (!says(got, steps)) check::fail(__FILE__, __LINE__, where + ": " + got.why);
  };
  cuda::Emulated& device = emulated();
  expect_steps(steps_of(16), "16 fit");
  device.cluster = 15;
  expect_steps(steps_of(8), "15 fit");
  device.cluster = 7;
  expect_steps(steps_of(0), "7 fit");
  device.cluster = 16;
  // as where other processes have a share of the device
  device.cluster_launches = 0;
  expect_steps(steps_of(0), "16 seem to fit, and the launch is refused");
  device.cluster_launches = 2;
  expect_steps("steps in a cluster of 16 blocks, ", "16 fit at first");
  device.major = 8;
  for (const unsigned multiprocessors : {1U, 2U, 7U, 16U}) {
    device.multiprocessors = multiprocessors;
    expect_steps(steps_of(0), "sm_80 of " + std::to_string(multiprocessors) + " multiprocessors");
  }
}

TEST("a cancel ends it, before and in the middle") {
  Random random{5};
  const size_t n = 400, d = 20;
  Data data(make("isotropic", n, d, random), n, d, false);
  Problem& p = data.problem;
  p.threads = 1;
  p.bins = 50;
  p.device = 0;
  for (const bool at_once : {true, false}) {
    Setup setup(p);
    std::thread other([&] {
      while (!at_once && emulated().used == 0) std::this_thread::yield();
      setup.control.cancel();
    });
    if (at_once) other.join();
    std::string code;
    try {
      on_device(p, setup.points, *coregain_cuda_table(), setup.pool, setup.control);
    } catch (const Error& error) {
      code = error.code;
    }
    if (other.joinable()) other.join();
    EXPECT(code == "ERR_CANCELLED");
    EXPECT(emulated().used == 0);
  }
}

TEST("more columns than sums of 32 bits allow are refused") {
  const size_t n = 2, d = 65537;
  Data data(std::vector<double>(n * d, 0.5), n, d, false);
  EXPECT(code_of(data.problem) == "ERR_DEVICE");
}

// ---- kernels

// The points of a problem for kernels of their own.
struct OnCpu {
  explicit OnCpu(const Points& p) : row_of(p.first) {
    points = {.x = p.x.data,
              .is_double = p.x.is_double,
              .cosine = p.cosine,
              .float64_is_exact = false,
              .chains = static_cast<int32_t>(p.first.size()),
              .d = p.d,
              .q = p.q.data(),
              .length = p.length.data(),
              .origin = p.origin.data(),
              .next_equal = p.next_equal.data(),
              .f = p.f,
              .unit = p.unit,
              .scale = p.scale,
              .terms = p.terms,
              .q_error = 0};
  }
  cuda::Points points{};
  std::vector<int32_t> row_of;
};

TEST("tensor-core products of 16-bit rows keep their bound, and the fragments their places") {
  Random random{6};
  for (const size_t d : {size_t{1}, size_t{64}, size_t{65}, size_t{200}}) {
    const size_t n = 150;  // more than a tile of rows, more than two of columns
    Data data(make("mixture", n, d, random), n, d, false);
    Setup setup(data.problem);
    OnCpu on(setup.points);
    const auto size = on.points.chains;
    const size_t rows = static_cast<size_t>(size), stride = cuda::plane_stride(d), pitch = cuda::gram_pitch(rows);
    std::vector<int8_t> high(256 * stride, 0), low(256 * stride, 0);
    std::vector<cuda::RowForm> form(rows);
    std::vector<float> gram(rows * pitch, NAN);
    cuda::use_device(0);
    const cuda::Stream stream;
    cuda::launch(
        stream, {2, 256},
        cuda::Quantise{on.points, nullptr, on.row_of.data(), size, stride, high.data(), low.data(), form.data()});
    cuda::launch(stream, {cuda::Gram::blocks(size), 256, cuda::Gram::kShared},
                 cuda::Gram{high.data(), low.data(), form.data(), size, stride, gram.data(), pitch});
    stream.wait();
    std::vector<double> a(d), b(d);
    for (size_t i = 0; i < rows; ++i) {
      setup.points.y(static_cast<size_t>(on.row_of[i]), a.data());
      double rest = 0, rest8 = 0, square = 0;
      for (size_t j = 0; j < d; ++j) {
        const int integer = high[i * stride + j] * 256 + low[i * stride + j];
        rest += std::pow(a[j] - form[i].scale * integer, 2);
        rest8 += std::pow(a[j] - form[i].scale * 256 * high[i * stride + j], 2);
        square += a[j] * a[j];
      }
      EXPECT(std::sqrt(rest) <= static_cast<double>(form[i].residual));
      EXPECT(std::sqrt(rest8) <= static_cast<double>(form[i].residual8));
      EXPECT(std::sqrt(square) <= static_cast<double>(form[i].radius));
      EXPECT(static_cast<double>(form[i].residual) <=
             std::sqrt(square) * std::sqrt(static_cast<double>(d)) * 0x1p-14 + 1e-30);
      for (size_t p = 0; p < rows; ++p) {
        setup.points.y(static_cast<size_t>(on.row_of[p]), b.data());
        double exact = 0, integers = 0;
        for (size_t j = 0; j < d; ++j) {
          exact += a[j] * b[j];
          integers += (high[i * stride + j] * 256.0 + low[i * stride + j]) *
                      (high[p * stride + j] * 256.0 + low[p * stride + j]);
        }
        const auto got = static_cast<double>(gram[i * pitch + p]);
        // the integers themselves are exact
        EXPECT(got == static_cast<double>(static_cast<float>(integers * (form[i].scale * form[p].scale))));
        const double bound = static_cast<double>(form[i].magnitude) * static_cast<double>(form[p].residual) +
                             static_cast<double>(form[i].residual) * static_cast<double>(form[p].radius) +
                             0x1p-23 * static_cast<double>(form[i].magnitude) * static_cast<double>(form[p].magnitude);
        EXPECT(std::abs(got - exact) <= bound);
      }
    }
  }
}

TEST("w on the device is the exact w") {
  Random random{7};
  cuda::use_device(0);
  for (const std::string kind : {"isotropic", "tiny", "huge", "far mean"}) {
    const size_t n = 40, d = 9;
    Data data(make(kind, n, d, random), n, d, true);
    Setup setup(data.problem);
    OnCpu on(setup.points);
    FixedVector exact(d, setup.points.unit, setup.points.bits);
    std::vector<cuda::Grid128> w(d, 0), rest(d, 0);
    std::vector<double> w64(d), want(d), row(d);
    for (size_t i = 0; i < n; i += 3) {
      const double* z = setup.points.z(i, row.data());
      exact.add(z, 2);
      exact.add(setup.points.origin.data(), -2);
      cuda::launch(
          cuda::Stream(), {1, 256},
          cuda::Take{on.points, {w.data(), rest.data(), w64.data()}, static_cast<int32_t>(i), 0, on.row_of.data()});
      for (size_t j = 0; j < d; ++j) {
        const uint64_t* limbs = exact.element(j);
        EXPECT(static_cast<uint64_t>(w[j]) == limbs[0]);
        if (exact.limbs() > 1) EXPECT(static_cast<uint64_t>(w[j] >> 64) == limbs[1]);
      }
      exact.round(want.data(), setup.points.scale);
      for (size_t j = 0; j < d; ++j) EXPECT(std::abs(w64[j] - want[j]) <= 0x1p-50 * std::abs(want[j]));
    }
  }
}

template <typename Exchange>
struct CountRounds {
  static constexpr bool kCluster = Exchange::kCluster;
  static constexpr unsigned kThreads = 64;
  Exchange exchange;
  int32_t* sums;
  uint32_t rounds;

  void operator()(cuda::Block& block) const {
    auto* const room = block.shared<int32_t>(Exchange::room(block.count));
    int32_t mine = static_cast<int32_t>(block.index) + 1;
    for (uint32_t round = 1; round <= rounds; ++round) {
      const int32_t* const all = block.exchange(exchange, round, mine, room);
      int32_t sum = 0;
      for (unsigned b = 0; b < block.count; ++b) sum += all[b];
      mine = (sum + static_cast<int32_t>(block.index)) % 1000;
    }
    block.each([&](unsigned thread) {
      if (thread == 0) sums[block.index] = mine;
    });
  }
};
template <typename Exchange>
cuda::Grid grid_of(unsigned blocks, bool together) {
  return {blocks, CountRounds<Exchange>::kThreads, cuda::Block::shared_bytes<int32_t>(Exchange::room(blocks)),
          together};
}

TEST("blocks give each other records round after round, as a grid or a cluster") {
  const Restore restore;
  using Grid = cuda::GridExchange<int32_t>;
  using Cluster = cuda::ClusterExchange<int32_t>;
  cuda::use_device(0);
  for (const unsigned blocks : {1U, 5U, 16U}) {
    for (const uint32_t count : {1U, 2U, 3U, 200U}) {
      std::vector<int32_t> want(blocks);
      for (unsigned b = 0; b < blocks; ++b) want[b] = static_cast<int32_t>(b) + 1;
      for (uint32_t round = 0; round < count; ++round) {
        int32_t sum = 0;
        for (const int32_t m : want) sum += m;
        for (unsigned b = 0; b < blocks; ++b) want[b] = (sum + static_cast<int32_t>(b)) % 1000;
      }
      emulated().multiprocessors = blocks;
      std::vector<int32_t> records(2 * size_t{blocks}), sums(blocks);
      std::vector<uint32_t> rounds(2 * size_t{blocks}, 0);
      cuda::launch(cuda::Stream(), grid_of<Grid>(blocks, true),
                   CountRounds<Grid>{{records.data(), rounds.data()}, sums.data(), count});
      EXPECT(sums == want);
      // blocks in turns and side by side
      for (int launch = 0; launch < 4; ++launch) {
        std::fill(sums.begin(), sums.end(), 0);
        EXPECT(cuda::launch_cluster(cuda::Stream(), grid_of<Cluster>(blocks, false),
                                    CountRounds<Cluster>{{}, sums.data(), count}));
        EXPECT(sums == want);
      }
    }
  }
}

TEST("a cluster of more blocks than the device runs as one is not launched") {
  const Restore restore;
  using Cluster = cuda::ClusterExchange<int32_t>;
  const CountRounds<Cluster> kernel{{}, nullptr, 1};
  cuda::use_device(0);
  const cuda::Stream stream;
  const size_t before = emulated().launches;
  EXPECT(!cuda::launch_cluster(stream, grid_of<Cluster>(17, false), kernel));
  emulated().major = 8;
  EXPECT(!cuda::launch_cluster(stream, grid_of<Cluster>(2, false), kernel));
  EXPECT(emulated().launches == before);
}

TEST("blocks that cannot run at once are refused in words") {
  cuda::use_device(0);
  const cuda::Stream stream;
  const CountRounds<cuda::GridExchange<int32_t>> kernel{{nullptr, nullptr}, nullptr, 0};
  std::string message;
  try {
    cuda::launch(stream, {emulated().multiprocessors + 1, 64, 0, true}, kernel);
  } catch (const cuda::Failed& failed) {
    message = static_cast<const char*>(failed.failure.message);
  }
  EXPECT(message.find("the device does not run 4 blocks at once") == 0);
}

// ---- what a plan says

TEST("a plan takes the fastest mode that fits") {
  const uint64_t h200 = uint64_t{139} << 30, l2 = 50 << 20;
  const auto on = [&](uint64_t rows, uint64_t cols, uint64_t free_bytes, CudaMode mode = CudaMode::kAuto) {
    return cuda::plan(
        {.mode = mode, .rows = rows, .cols = cols, .chains = rows, .free_bytes = free_bytes, .l2_bytes = l2});
  };
  EXPECT(on(70000, 1024, h200).mode == CudaMode::kGram);
  EXPECT(on(180000, 768, h200).mode == CudaMode::kGram);
  EXPECT(on(200000, 768, h200).mode == CudaMode::kLookAhead);
  EXPECT(on(70000, 1024, h200, CudaMode::kLookAhead).mode == CudaMode::kLookAhead);
  EXPECT(on(200000, 768, h200, CudaMode::kGram).mode == CudaMode::kAuto);
  const cuda::Plan ten_million = on(10000000, 768, h200);
  EXPECT(ten_million.mode == CudaMode::kLookAhead && ten_million.x_on_device && ten_million.plane_on_device);
  EXPECT(ten_million.device_bytes < h200);
  const cuda::Plan smaller = on(10000000, 768, uint64_t{24} << 30);
  EXPECT(smaller.mode == CudaMode::kLookAhead && !smaller.x_on_device && smaller.plane_on_device);
  EXPECT(smaller.pinned_bytes == uint64_t{10000000} * 768 * 4);
  const cuda::Plan smallest = on(10000000, 768, uint64_t{6} << 30);
  EXPECT(smallest.mode == CudaMode::kLookAhead && !smallest.x_on_device && !smallest.plane_on_device);
  EXPECT(on(10000000, 768, uint64_t{200} << 20).mode == CudaMode::kAuto);
  // a seventh of an H200 (MIG 1g.18gb): memory for 66,000 rows, shared memory for 61,000
  const cuda::PlanRequest slice = {.rows = 64000,
                                   .cols = 256,
                                   .chains = 64000,
                                   .free_bytes = uint64_t{17} << 30,
                                   .l2_bytes = l2 / 8,
                                   .most_window = static_cast<uint64_t>(cuda::GridSteps::most_rows(227 << 10, 16))};
  EXPECT(slice.most_window > 61000 && slice.most_window < 62000);
  EXPECT(cuda::plan(slice).mode == CudaMode::kLookAhead);
  for (uint64_t free_bytes = uint64_t{1} << 26; free_bytes < h200; free_bytes = free_bytes * 5 / 4) {
    const cuda::Plan p = on(300000, 512, free_bytes);
    if (p.mode != CudaMode::kAuto)
      EXPECT(p.device_bytes <= cuda::usable_bytes(free_bytes));
    else
      EXPECT(p.needed > cuda::usable_bytes(free_bytes));
  }
}

TEST("shared memory holds the rows that a plan counts on, and no more") {
  const size_t bytes = 227 << 10;
  const auto expect = [&](auto steps, unsigned blocks, int64_t rows) {
    using Steps = decltype(steps);
    EXPECT(Steps::most_rows(bytes, blocks) == rows);
    EXPECT(Steps::shared(static_cast<int32_t>(rows), blocks) <= bytes);
    EXPECT(Steps::shared(static_cast<int32_t>(rows) + 1, blocks) > bytes);
  };
  expect(cuda::ClusterSteps{}, 16, 60928);
  expect(cuda::ClusterSteps{}, 8, 30720);  // fewer than kLargestWindow: what is beyond goes to a grid
  expect(cuda::GridSteps{}, 16, 61440);
}

TEST("the usual window's inner products fill at most half of L2") {
  EXPECT(cuda::usual_window(uint64_t{50} << 20) == 2560);
  EXPECT(cuda::usual_window(uint64_t{40} << 20) == 2048);
  EXPECT(cuda::usual_window(0) == cuda::kSmallestWindow);
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
