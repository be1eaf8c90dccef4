// The host's side of the greedy engine: takes the memory, launches the kernels and hands on what they choose.
//
// Gram mode: the inner products of all pairs once, then one launch a bin. Look-ahead: a refresh (a pass over all
// points, the parting into window and buckets, the window's inner products) whenever a launch of steps ends because a
// point outside the window could win. Rows arrive in pinned memory while the kernel runs, so the caller works beside
// it.
#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "cuda/gram.h"
#include "cuda/greedy.h"
#include "cuda/level.h"
#include "cuda/plan.h"
#include "cuda/quantise.h"
#include "cuda/runtime.h"
#include "cuda/steps.h"

namespace coregain::cuda {
namespace {

constexpr int32_t kSamples = 4096;      // keys that a threshold is found from
constexpr int kMostFailures = 8;        // refreshes in a row that let no step pass
constexpr int32_t kFewSteps = 64;       // a window that lets fewer pass was too small
constexpr unsigned kWindowBlocks = 16;  // of the steps of a look-ahead window: few enough to exchange records quickly
constexpr int32_t kRowsOfBlock = 64;    // fewer are not worth a block
constexpr unsigned kClusters[] = {kWindowBlocks, kPortableCluster};  // blocks of a cluster: the first that fits

[[noreturn]] void cancelled() {
  fail(CudaCode::kCancelled, "cancelled");
}

class Greedy {
 public:
  explicit Greedy(const CudaGreedyProblem& problem) : problem_(problem), limits_(open_device(problem.device)) {
    if (problem.cols > 65536)
      fail(CudaCode::kUnfit, "sums of more than 65536 products of 8 bits do not fit in 32: use the device \"cpu\"");
    size_t free_bytes = 0, all_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &all_bytes), "cudaMemGetInfo");
    const PlanRequest request = {
        .mode = problem.mode,
        .rows = static_cast<uint64_t>(problem.rows),
        .cols = static_cast<uint64_t>(problem.cols),
        .chains = static_cast<uint64_t>(problem.chains),
        .value_bytes = problem.is_double != 0 ? uint64_t{8} : uint64_t{4},
        .cosine = problem.cosine != 0,
        .free_bytes = problem.memory > 0 ? std::min<uint64_t>(problem.memory, free_bytes) : free_bytes,
        .l2_bytes = limits_.l2_bytes,
        .most_window = static_cast<uint64_t>(GridSteps::most_rows(limits_.shared, limits_.multiprocessors)),
    };
    plan_ = plan(request);
    if (plan_.mode == CudaMode::kAuto) fail(CudaCode::kMemory, memory_sentence(request, plan_), plan_.needed);
    usual_window_ = problem.window > 0 ? static_cast<uint64_t>(problem.window) : usual_window(request.l2_bytes);
    target_ = static_cast<double>(std::min(usual_window_, plan_.window));
    move_points();
    take_memory();
    if (plan_.mode == CudaMode::kGram) {
      quantise(nullptr, chains(), window_high_, &window_low_, window_form_);
      multiply(chains());
    } else {
      cluster_ = largest_cluster();
      quantise(nullptr, chains(), plane_, nullptr, level_form_);
      measure_radii();
    }
    stream_.wait();
  }
  ~Greedy() { use_device_quietly(problem_.device); }
  Greedy(const Greedy&) = delete;
  Greedy& operator=(const Greedy&) = delete;

  void bin(int64_t members, int32_t steps, const CudaGreedyCallbacks& callbacks) {
    use_device(problem_.device);
    callbacks_ = &callbacks;
    members_ = static_cast<double>(members);
    a_ = -members_;
    left_ = steps;
    start(Grid{columns_blocks(), BeginBin::kThreads}, BeginBin{points_, state()});
    const bool gram = plan_.mode == CudaMode::kGram;
    bool fresh = true;
    for (int failures = 0; left_ > 0;) {
      if (!gram) refresh(fresh);
      fresh = false;
      const int32_t before = left_;
      const Outcome outcome = run_steps();
      const int32_t passed = before - left_;
      if (!gram) learn(outcome, passed);
      if (outcome.why == Why::kStopped) cancelled();
      if (outcome.why == Why::kUndecided) decide();
      if (outcome.why == Why::kRebase) ++report_.rebases;
      failures = before == left_ ? failures + 1 : 0;
      if (failures == kMostFailures)
        fail(CudaCode::kUnfit, "more rows tie than the inner products that fit on the device: use the device \"cpu\"");
      // where a window of estimates lets no step pass, scores from float64 may
      fresh = !gram && failures >= 2;
    }
  }

  CudaGreedyReport report() const {
    CudaGreedyReport out = report_;
    out.mode = plan_.mode;
    out.x_resident = plan_.x_on_device ? 1 : 0;
    out.window = static_cast<int32_t>(plan_.window);
    out.device_bytes = plan_.device_bytes;
    out.pinned_bytes = plan_.pinned_bytes;
    return out;
  }

 private:
  int32_t chains() const { return problem_.chains; }
  size_t cols() const { return static_cast<size_t>(problem_.cols); }
  size_t stride() const { return plane_stride(cols()); }
  State state() const { return {w_.data(), rest_.data(), w64_.data()}; }
  unsigned columns_blocks() const { return static_cast<unsigned>(std::min<size_t>((cols() + 255) / 256, 64)); }
  // Blocks of a kernel that goes over rows with one warp each, a few waves of them.
  Grid over_rows(int32_t rows, size_t shared = 0) const {
    const auto warps = static_cast<unsigned>((rows + 7) / 8);
    return {std::max(1U, std::min(warps, limits_.multiprocessors * 16)), 256, shared};
  }
  Grid over_numbers(int32_t count, size_t shared = 0) const {
    const auto blocks = static_cast<unsigned>((count + 255) / 256);
    return {std::max(1U, std::min(blocks, limits_.multiprocessors * 4)), 256, shared};
  }
  template <typename Kernel>
  void start(const Grid& grid, const Kernel& kernel) {
    launch(stream_, grid, kernel);
    ++report_.launches;
  }

  template <typename T>
  void upload(Array<T>& to, const T* from, size_t size) {
    to = Array<T>(size, Place::kDevice);
    stream_.copy(to.data(), from, size);
  }

  void move_points() {
    const auto n = static_cast<size_t>(problem_.rows), values = n * cols();
    const size_t bytes = values * (problem_.is_double != 0 ? 8 : 4);
    const void* x = nullptr;
    if (plan_.x_on_device) {
      x_ = Array<char>(bytes, Place::kDevice);
      stream_.copy(x_.data(), static_cast<const char*>(problem_.x), bytes);
      x = x_.data();
    } else {
      pinned_x_ = Pinned(problem_.x, bytes);
      x = pinned_x_.device();
    }
    upload(q_, problem_.q, n);
    if (problem_.cosine != 0) upload(length_, problem_.length, n);
    upload(origin_, problem_.origin, cols());
    upload(next_equal_, problem_.next_equal, n);
    upload(row_of_, problem_.first, static_cast<size_t>(chains()));
    points_ = {.x = x,
               .is_double = problem_.is_double != 0,
               .cosine = problem_.cosine != 0,
               .float64_is_exact = problem_.float64_is_exact != 0,
               .chains = chains(),
               .d = cols(),
               .q = q_.data(),
               .length = length_.data(),
               .origin = origin_.data(),
               .next_equal = next_equal_.data(),
               .f = problem_.f,
               .unit = problem_.unit,
               .scale = problem_.scale,
               .terms = problem_.terms,
               .q_error = problem_.q_error};

    // before the first bin nothing is chosen: rest = total, w = -rest
    std::vector<Grid128> rest(cols()), w(cols());
    for (size_t j = 0; j < cols(); ++j) {
      const auto bits = static_cast<unsigned __int128>(problem_.total[2 * j + 1]) << 64 | problem_.total[2 * j];
      rest[j] = static_cast<Grid128>(bits);
      w[j] = -rest[j];
    }
    upload(rest_, rest.data(), cols());
    upload(w_, w.data(), cols());
    w64_ = Array<double>(cols(), Place::kDevice);
    base_w_ = Array<double>(cols(), Place::kDevice);
    for (size_t i = 0; i < n; ++i) q_most_ = std::max(q_most_, std::abs(problem_.q[i]));
    stream_.wait();  // rest and w go out of scope
  }

  void take_memory() {
    const auto window = static_cast<size_t>(plan_.window);
    const size_t padded = round_up(window, kPlanesRow);
    window_high_ = Array<int8_t>(padded * stride(), Place::kDevice);
    window_low_ = Array<int8_t>(padded * stride(), Place::kDevice);
    stream_.clear(window_high_.data(), window_high_.size());
    stream_.clear(window_low_.data(), window_low_.size());
    window_form_ = Array<RowForm>(window, Place::kDevice);
    gram_ = Array<float>(window * gram_pitch(window), Place::kDevice);
    contenders_ = Array<Contender>(window, Place::kDevice);
    listed_ = Array<int32_t>(1, Place::kDevice);
    records_ = Array<Best>(2 * size_t{limits_.multiprocessors}, Place::kDevice);
    rounds_ = Array<uint32_t>(2 * size_t{limits_.multiprocessors}, Place::kDevice);
    order_ = Array<int32_t>(static_cast<size_t>(problem_.longest_bin), Place::kPinned);
    words_ = Array<int32_t>(2, Place::kPinned);
    outcome_ = Array<Outcome>(1, Place::kPinned);
    if (plan_.mode == CudaMode::kGram) return;
    const auto n = static_cast<size_t>(chains());
    plane_ = Array<int8_t>(n * stride(), plan_.plane_on_device ? Place::kDevice : Place::kPinned);
    level_form_ = Array<RowForm>(n, Place::kDevice);
    base_score_ = Array<double>(n, Place::kDevice);
    base_error_ = Array<double>(n, Place::kDevice);
    high_ = Array<double>(n, Place::kDevice);
    level_w_ = Array<double>(cols(), Place::kDevice);
    v_high_ = Array<int8_t>(stride(), Place::kDevice);
    v_low_ = Array<int8_t>(stride(), Place::kDevice);
    drift_ = Array<Drift>(1, Place::kDevice);
    samples_ = Array<double>(kSamples, Place::kPinned);
    list_ = Array<int32_t>(window, Place::kDevice);
    parted_ = Array<Parted>(1, Place::kDevice);
  }

  void quantise(const int32_t* list, int32_t size, const Array<int8_t>& high, const Array<int8_t>* low,
                const Array<RowForm>& form) {
    start(over_rows(size), Quantise{points_, list, row_of_.data(), size, stride(), high.data(),
                                    low == nullptr ? nullptr : low->data(), form.data()});
  }

  void multiply(int32_t size) {
    start(Grid{Gram::blocks(size), Gram::kThreads, Gram::kShared},
          Gram{window_high_.data(), window_low_.data(), window_form_.data(), size, stride(), gram_.data(),
               gram_pitch(static_cast<uint64_t>(size))});
    report_.dot_products += static_cast<uint64_t>(size) * static_cast<uint64_t>(size) / 2;
  }

  void measure_radii() {
    const double none[2] = {-1.7e308, 0};
    Array<double> radii(2, Place::kDevice);
    stream_.copy(radii.data(), &none[0], 2);
    start(over_numbers(chains()), Radii{level_form_.data(), chains(), radii.data()});
    double found[2] = {};
    stream_.copy(&found[0], radii.data(), 2);
    stream_.wait();
    radius_low_ = -found[0];
    radius_high_ = found[1];
  }

  // ---- look-ahead

  Level level() const {
    return {points_,
            state(),
            row_of_.data(),
            plane_.data(),
            stride(),
            level_form_.data(),
            base_score_.data(),
            base_error_.data(),
            high_.data(),
            drift_.data(),
            a_,
            base_a_,
            members_};
  }

  // An interval for every point, then the window of those that may win soon. `fresh`: scores from float64.
  void refresh(bool fresh) {
    for (bool all = false;;) {
      pass(fresh);
      const Parted parted = part(all ? kAllContenders : target_);
      const auto capacity = static_cast<int32_t>(plan_.window);
      if (parted.inside <= capacity && (fresh || parted.contenders <= 64 + target_ / 2)) {
        size_ = parted.inside;
        w_outside_ = parted.w_most;
        break;
      }
      // most of the doubt may be the estimate's
      if (!fresh) {
        fresh = true;
        continue;
      }
      if (!all && parted.contenders <= capacity) {
        all = true;
        continue;
      }
      fail(CudaCode::kUnfit, "more rows tie than the inner products that fit on the device: use the device \"cpu\"");
    }
    ++report_.refreshes;
    quantise(list_.data(), size_, window_high_, &window_low_, window_form_);
    multiply(size_);
  }

  void pass(bool fresh) {
    if (fresh) base_a_ = a_;
    start(Grid{1, MeasureDrift::kThreads, MeasureDrift::kShared},
          MeasureDrift{cols(), stride(), w64_.data(), level_w_.data(), v_high_.data(), v_low_.data(), fresh,
                       drift_.data()});
    if (fresh)
      start(over_rows(chains()), TakeBase{level()});
    else
      start(over_rows(chains()), EstimateAll{level(), v_high_.data(), v_low_.data()});
    report_.dot_products += static_cast<uint64_t>(chains());
  }

  static constexpr double kAllContenders = -1;

  // The best `target` by upper bound and expected drift, and all that can win now, into list_.
  Parted part(double target) {
    const Key key = {0.8 * da_, 0.8 * dw_};
    double threshold = kNowhere;
    const auto capacity = static_cast<int32_t>(plan_.window);
    if (target == kAllContenders) {
      threshold = -kNowhere;
    } else {
      const int32_t step = std::max(1, chains() / kSamples);
      const int32_t samples = std::min(kSamples, (chains() + step - 1) / step);
      start(over_numbers(samples), SampleKeys{level(), key, step, samples, samples_.data()});
      stream_.wait();
      keys_.assign(samples_.data(), samples_.data() + samples);
      keys_.erase(std::remove(keys_.begin(), keys_.end(), kNowhere), keys_.end());
      const auto rank = static_cast<size_t>(target / step);
      if (rank < keys_.size()) {
        std::nth_element(keys_.begin(), keys_.begin() + static_cast<ptrdiff_t>(rank), keys_.end(), std::greater<>());
        threshold = keys_[rank];
      }
    }
    Parted parted{};
    for (Bucket& bucket : parted.outside) bucket = {kNowhere, kNowhere, 0, 0};
    stream_.copy(parted_.data(), &parted, 1);
    start(over_numbers(chains(), Part::kShared),
          Part{level(), key, threshold, q_most_, radius_high_, radius_low_,
               kBuckets / std::max(radius_high_ - radius_low_, 1e-300), capacity, list_.data(), parted_.data()});
    stream_.copy(&parted, parted_.data(), 1);
    stream_.wait();
    return parted;
  }

  // The next window: larger where this one let few steps pass, and how far a and w will move meanwhile.
  void learn(const Outcome& outcome, int32_t passed) {
    if (outcome.why != Why::kRefresh) return;
    da_ = 2.0 * passed;
    dw_ = outcome.moved;
    if (passed < kFewSteps)
      target_ = target_ * 1.5 + 8;
    else
      target_ = std::max(target_ / 1.1, static_cast<double>(std::min(usual_window_, plan_.window)));
    const auto capacity = static_cast<double>(plan_.window);
    target_ = std::min(target_, chains() <= capacity ? capacity : 0.75 * capacity);
  }

  // ---- steps

  // Blocks of the largest cluster that the device runs, whatever shared memory a window takes; 0 for none.
  unsigned largest_cluster() const {
    if (!limits_.clusters) return 0;
    for (const unsigned blocks : kClusters)
      if (blocks <= static_cast<unsigned>(problem_.cluster) &&
          cluster_fits<ClusterSteps>(Grid{blocks, ClusterSteps::kThreads, limits_.shared}))
        return blocks;
    return 0;
  }

  template <typename Exchange>
  Steps<Exchange> steps(int32_t size, const Exchange& exchange) const {
    const bool gram = plan_.mode == CudaMode::kGram;
    return {.points = points_,
            .state = state(),
            .row_of = row_of_.data(),
            .window = gram ? nullptr : list_.data(),
            .size = size,
            .form = window_form_.data(),
            .gram = gram_.data(),
            .pitch = gram_pitch(static_cast<uint64_t>(size)),
            .base_w = base_w_.data(),
            .a = a_,
            .members = members_,
            .steps = left_,
            .outside = gram ? nullptr : &parted_.data()->outside[0],
            .w_outside = w_outside_,
            .exchange = exchange,
            .order = order_.data(),
            .done = words_.data(),
            .stop = words_.data() + 1,
            .contenders = contenders_.data(),
            .outcome = outcome_.data(),
            .listed = listed_.data()};
  }

  // In a cluster, where there is one that has shared memory for the window.
  bool start_in_cluster(int32_t size) {
    if (cluster_ == 0) return false;
    const Grid grid = {cluster_, ClusterSteps::kThreads, ClusterSteps::shared(size, cluster_)};
    if (grid.shared > limits_.shared) return false;
    if (!launch_cluster(stream_, grid, steps(size, ClusterExchange<Best>{}))) {
      cluster_ = 0;  // nor will it run the next
      return false;
    }
    ++report_.launches;
    report_.cluster = static_cast<int32_t>(cluster_);
    return true;
  }

  void start_as_grid(int32_t size) {
    const auto useful = static_cast<unsigned>((size + kRowsOfBlock - 1) / kRowsOfBlock);
    const unsigned most = plan_.mode == CudaMode::kGram ? limits_.multiprocessors
                                                        : std::max(kWindowBlocks, static_cast<unsigned>(size) / 1024);
    const unsigned blocks = std::max(1U, std::min({useful, most, limits_.multiprocessors}));
    stream_.clear(rounds_.data(), rounds_.size());
    start(Grid{blocks, GridSteps::kThreads, GridSteps::shared(size, blocks), true},
          steps(size, GridExchange<Best>{records_.data(), rounds_.data()}));
    ++report_.grids;
  }

  Outcome run_steps() {
    const int32_t size = plan_.mode == CudaMode::kGram ? chains() : size_;
    words_.data()[0] = words_.data()[1] = 0;
    *outcome_.data() = {Why::kStopped, 0, 0, 0, 0};
    stream_.clear(listed_.data(), 1);
    if (!start_in_cluster(size)) start_as_grid(size);
    int32_t heard = 0;
    bool stopped = false;
    while (!stream_.idle()) {
      if (!stopped && !hear(heard)) {
        // the kernel sees it within 32 steps; it must end before its memory goes
        std::atomic_ref<int32_t>(words_.data()[1]).store(1, std::memory_order_release);
        stopped = true;
      }
      std::this_thread::yield();  // the next launch waits for this one's end
    }
    const Outcome outcome = *outcome_.data();
    if (stopped || !hear(heard)) cancelled();
    a_ += 2.0 * outcome.steps;
    left_ -= outcome.steps;
    report_.float64_steps += outcome.float64_steps;
    report_.dot_products += outcome.looked + static_cast<uint64_t>(size);
    return outcome;
  }

  // Hands on the rows that have come since; whether to go on.
  bool hear(int32_t& heard) {
    const int32_t done = std::atomic_ref<int32_t>(words_.data()[0]).load(std::memory_order_acquire);
    if (done == heard) return true;
    const int32_t* const rows = order_.data() + heard;
    const int32_t count = done - heard;
    heard = done;
    return callbacks_->chosen(callbacks_->user, rows, count) == 0;
  }

  // Exact arithmetic has the last word; the host has heard of all rows by now.
  void decide() {
    ++report_.exact_steps;
    int32_t listed = 0;
    stream_.copy(&listed, listed_.data(), 1);
    stream_.wait();
    std::vector<Contender> contenders(static_cast<size_t>(listed));
    stream_.copy(contenders.data(), contenders_.data(), contenders.size());
    std::vector<int32_t> list;
    if (plan_.mode != CudaMode::kGram) {
      list.resize(static_cast<size_t>(size_));
      stream_.copy(list.data(), list_.data(), list.size());
    }
    stream_.wait();
    std::vector<int32_t> rows;
    for (const Contender& c : contenders) rows.push_back(c.row);
    const int32_t row = callbacks_->decide(callbacks_->user, rows.data(), static_cast<int32_t>(rows.size()));
    if (row < 0) cancelled();
    const auto found =
        std::find_if(contenders.begin(), contenders.end(), [&](const Contender& c) { return c.row == row; });
    if (found == contenders.end()) fail(CudaCode::kFailed, "the row that was decided on is none of the contenders");
    const int32_t chain = list.empty() ? found->at : list[static_cast<size_t>(found->at)];
    start(Grid{columns_blocks(), Take::kThreads}, Take{points_, state(), row, chain, row_of_.data()});
    a_ += 2;
    --left_;
    if (callbacks_->chosen(callbacks_->user, &row, 1) != 0) cancelled();
  }

  const CudaGreedyProblem problem_;
  const DeviceLimits limits_;  // before the stream and the memory: it chooses the device
  const CudaGreedyCallbacks* callbacks_ = nullptr;
  Plan plan_;
  CudaGreedyReport report_{};

  // The points.
  Array<char> x_;
  Pinned pinned_x_;
  Array<double> q_, length_, origin_;
  Array<int32_t> next_equal_, row_of_;
  Points points_{};
  double q_most_ = 0, radius_low_ = 0, radius_high_ = 0;

  // The bin.
  Array<Grid128> w_, rest_;
  Array<double> w64_, base_w_;
  double members_ = 0, a_ = 0;
  int32_t left_ = 0;

  // The window.
  Array<int8_t> window_high_, window_low_;
  Array<RowForm> window_form_;
  Array<float> gram_;
  Array<Contender> contenders_;
  Array<int32_t> listed_;
  Array<Best> records_;
  Array<uint32_t> rounds_;
  Array<int32_t> order_, words_;  // words: rows chosen, stop
  Array<Outcome> outcome_;
  int32_t size_ = 0;

  // The look-ahead.
  Array<int8_t> plane_, v_high_, v_low_;
  Array<RowForm> level_form_;
  Array<double> base_score_, base_error_, high_, level_w_, samples_;
  Array<Drift> drift_;
  Array<int32_t> list_;
  Array<Parted> parted_;
  std::vector<double> keys_;
  uint64_t usual_window_ = 0;
  unsigned cluster_ = 0;  // blocks of the cluster that runs the steps; 0: a grid does
  double target_ = 0, base_a_ = 0, da_ = 0, dw_ = 0, w_outside_ = 0;

  // Last: it waits for the kernels before the memory goes.
  Stream stream_;
};

}  // namespace

CudaCode greedy_open(const CudaGreedyProblem* problem, void** engine, CudaFailure* failure) {
  *engine = nullptr;
  return guarded(failure, [&] { *engine = new Greedy(*problem); });
}

CudaCode greedy_bin(void* engine, int64_t members, int32_t steps, const CudaGreedyCallbacks* callbacks,
                    CudaFailure* failure) {
  return guarded(failure, [&] { static_cast<Greedy*>(engine)->bin(members, steps, *callbacks); });
}

void greedy_report(const void* engine, CudaGreedyReport* report) {
  *report = static_cast<const Greedy*>(engine)->report();
}

void greedy_close(void* engine) {
  delete static_cast<Greedy*>(engine);
}

}  // namespace coregain::cuda
