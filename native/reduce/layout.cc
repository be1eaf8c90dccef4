#include "reduce/layout.h"

#include <algorithm>

#include "core/buffer.h"
#include "kernels/layout.h"
#include "objectives/random.h"

namespace coregain::reduce {
namespace {

constexpr size_t kTurns = 8;
constexpr size_t kAway = LayoutKernel::kAway;
constexpr size_t kTogether = LayoutKernel::kTogether;

// Rows of `stride` columns, padded with zeros.
Buffer<float> padded(const std::vector<float>& rows, size_t dims, size_t stride) {
  const size_t n = rows.size() / dims;
  Buffer<float> out(n * stride);
  for (size_t i = 0; i < n; ++i)
    std::fill_n(std::copy_n(&rows[i * dims], dims, out.data() + i * stride), stride - dims, 0.0F);
  return out;
}

// What the uses of one turn's edges need to know.
struct Turn {
  const LayoutKernel& kernel;
  LayoutKernel::Step step;
  const Graph& graph;
  std::vector<double>& due;  // of each edge: the epochs after which it is used next
  double heaviest;
  const float* others;
  size_t other_rows;
  bool itself;  // the others are the rows that move
  size_t dims, stride;
  uint64_t seed;
  size_t epoch;
};

// The uses of a row's edges in an epoch, one after the other.
class Uses {
 public:
  Uses() = default;
  Uses(const Turn& turn, size_t row)
      : row_(row),
        edge_(turn.graph.offset[row]),
        end_(turn.graph.offset[row + 1]),
        words_(turn.seed, (turn.epoch << 32) + row) {}

  // Where the next edge leads, and five rows other than this one; false = there is none.
  bool next(const Turn& turn, const float*& target, const float** away, size_t away_step) {
    const auto now = static_cast<double>(turn.epoch + 1);
    while (edge_ < end_ && turn.due[edge_] > now) ++edge_;
    if (edge_ >= end_) return false;
    turn.due[edge_] += turn.heaviest / turn.graph.weight[edge_];
    target = turn.others + static_cast<size_t>(turn.graph.to[edge_]) * turn.stride;
    ++edge_;
    const uint64_t count = turn.other_rows - (turn.itself ? 1 : 0);
    for (size_t s = 0; s < kAway; ++s) {
      size_t j = words_.next() * count >> 32;  // uniform but for count / 2^32
      if (turn.itself && j >= row_) ++j;
      away[s * away_step] = turn.others + j * turn.stride;
    }
    return true;
  }

 private:
  size_t row_ = 0, edge_ = 0, end_ = 0;
  objectives::Words words_{0, 0};
};

// Moves `point`, a copy of row i.
void move_one(const Turn& turn, size_t i, float* point) {
  Uses uses(turn, i);
  const float *target = nullptr, *away[kAway];
  while (uses.next(turn, target, away, 1)) turn.kernel.use(point, target, away, turn.stride, turn.step);
}

// Moves copies of the rows first, first + kTurns, ..., `count` of them, of few components: kTogether at a time, each
// at its own edge, so that none waits for the powers of the one before.
void move_few(const Turn& turn, size_t first, size_t count, float* copies) {
  const size_t dims = turn.dims;
  float points[LayoutKernel::kFew * kTogether] = {};
  const float nowhere[LayoutKernel::kFew] = {};
  const float *target[kTogether], *away[kAway * kTogether];
  Uses uses[kTogether];
  float* copy[kTogether] = {};
  size_t taken = 0;
  const auto next = [&](size_t t) {
    for (;;) {
      if (copy[t] != nullptr) {
        if (uses[t].next(turn, target[t], away + t, kTogether)) return true;
        for (size_t c = 0; c < dims; ++c) copy[t][c] = points[c * kTogether + t];
      }
      if (taken == count) break;
      copy[t] = copies + taken * dims;
      uses[t] = Uses(turn, first + taken * kTurns);
      ++taken;
      for (size_t c = 0; c < dims; ++c) points[c * kTogether + t] = copy[t][c];
    }
    copy[t] = nullptr;
    // a point at 0 among rows at 0 stays
    for (size_t c = 0; c < dims; ++c) points[c * kTogether + t] = 0;
    target[t] = nowhere;
    for (size_t s = 0; s < kAway; ++s) away[s * kTogether + t] = nowhere;
    return false;
  };
  for (;;) {
    size_t active = 0;
    for (size_t t = 0; t < kTogether; ++t) active += next(t) ? 1 : 0;
    if (active == 0) return;
    turn.kernel.use_few(points, target, away, dims, turn.step);
  }
}

}  // namespace

void descend(std::vector<float>& points, size_t dims, const Graph& graph, const Descent& descent,
             const std::vector<float>* anchors, ThreadPool& pool, const Control& control, const std::string& simd,
             const std::function<void(size_t)>& done) {
  const size_t n = points.size() / dims;
  const bool few = dims <= LayoutKernel::kFew;
  const size_t stride = few ? dims : (dims + LayoutKernel::kSums - 1) / LayoutKernel::kSums * LayoutKernel::kSums;
  Buffer<float> rows = padded(points, dims, stride);
  const Buffer<float> fixed = anchors == nullptr ? Buffer<float>() : padded(*anchors, dims, stride);

  const double heaviest = graph.weight.empty() ? 1 : *std::max_element(graph.weight.begin(), graph.weight.end());
  std::vector<double> due(graph.weight.size());
  for (size_t e = 0; e < due.size(); ++e) due[e] = heaviest / graph.weight[e];

  Turn turn = {.kernel = layout_kernel(simd),
               // An edge of the original moves both its ends, and is there twice: a row is pulled as head and as tail.
               .step = {descent.curve.a, descent.curve.b, 0, anchors == nullptr ? size_t{2} : size_t{1}},
               .graph = graph,
               .due = due,
               .heaviest = heaviest,
               .others = anchors == nullptr ? rows.data() : fixed.data(),
               .other_rows = anchors == nullptr ? n : anchors->size() / dims,
               .itself = anchors == nullptr,
               .dims = dims,
               .stride = stride,
               .seed = descent.seed,
               .epoch = 0};
  Buffer<float> moved((n + kTurns - 1) / kTurns * stride);
  for (; turn.epoch < descent.epochs; ++turn.epoch) {
    const double share = static_cast<double>(turn.epoch) / static_cast<double>(descent.epochs);
    turn.step.rate = static_cast<float>(descent.rate * (1 - share));
    for (size_t of = 0; of < std::min(kTurns, n); ++of) {
      const size_t count = (n + kTurns - 1 - of) / kTurns;
      const size_t block = std::max<size_t>(1, 4096 / (dims + 16));
      pool.for_blocks(count, block, [&](unsigned, size_t begin, size_t end) {
        control.check();
        for (size_t slot = begin; slot < end; ++slot)
          std::copy_n(rows.data() + (slot * kTurns + of) * stride, stride, moved.data() + slot * stride);
        if (few) {
          move_few(turn, begin * kTurns + of, end - begin, moved.data() + begin * stride);
        } else {
          for (size_t slot = begin; slot < end; ++slot)
            move_one(turn, slot * kTurns + of, moved.data() + slot * stride);
        }
      });
      pool.for_blocks(count, 64 * block, [&](unsigned, size_t begin, size_t end) {
        for (size_t slot = begin; slot < end; ++slot)
          std::copy_n(moved.data() + slot * stride, stride, rows.data() + (slot * kTurns + of) * stride);
      });
    }
    done(turn.epoch + 1);
  }
  for (size_t i = 0; i < n; ++i) std::copy_n(rows.data() + i * stride, dims, &points[i * dims]);
}

}  // namespace coregain::reduce
