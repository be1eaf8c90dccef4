// How well S covers the points: facility location and saturated coverage, over blocks of similarities made on the fly.
#include <algorithm>
#include <limits>
#include <utility>

#include "objectives/objective.h"

namespace coregain::objectives {
namespace {

constexpr size_t kRows = Tiles::kRows;
constexpr size_t kPoints = Tiles::kPoints;
constexpr double kNoEnd = std::numeric_limits<double>::infinity();

// The gain of a row is a sum over the points of terms that never grow when S does, nor do their rounded sums, as their
// order is fixed: lazy and naive evaluation agree to the last bit.
class Coverage : public Objective {
 public:
  Coverage(Tiles tiles, Levels levels)
      : tiles_(std::move(tiles)), reached_(std::move(levels.floor)), cap_(std::move(levels.cap)),
        bonus_(std::move(levels.bonus)) {
    const size_t points = tiles_.pairs().a().rows;
    if (reached_.empty()) reached_.assign(points, 0);
    if (cap_.empty()) cap_.assign(points, kNoEnd);
  }

  void gains(const int32_t* rows, size_t count, double* out) override {
    const size_t points = reached_.size();
    const size_t blocks = (points + kPoints - 1) / kPoints;
    const size_t groups = (count + kRows - 1) / kRows;
    partial_.resize(count * blocks);
    tiles_.pairs().context().pool.for_blocks(groups * blocks, 1, [&](unsigned, size_t from, size_t to) {
      float similarity[kRows * kPoints];
      for (size_t task = from; task < to; ++task) {
        tiles_.pairs().context().control.check();
        const size_t first = task / blocks * kRows;
        const size_t block = task % blocks;
        const size_t width = std::min(kRows, count - first);
        const size_t begin = block * kPoints;
        const size_t end = std::min(points, begin + kPoints);
        tiles_.tile(rows + first, width, begin, end, similarity);
        for (size_t r = 0; r < width; ++r)
          partial_[(first + r) * blocks + block] = sum(similarity + r * kPoints, begin, end);
      }
    });
    for (size_t r = 0; r < count; ++r) {
      double gain = bonus_.empty() ? 0 : bonus_[static_cast<size_t>(rows[r])];
      for (size_t block = 0; block < blocks; ++block) gain += partial_[r * blocks + block];
      out[r] = gain;
    }
  }

  void add(int32_t row) override {
    const size_t points = reached_.size();
    tiles_.pairs().context().pool.for_blocks(points, kPoints, [&](unsigned, size_t begin, size_t end) {
      float similarity[kRows * kPoints];
      tiles_.tile(&row, 1, begin, end, similarity);
      for (size_t i = begin; i < end; ++i)
        reached_[i] = after(static_cast<double>(similarity[i - begin]), i);
    });
  }

 protected:
  virtual double sum(const float* similarity, size_t begin, size_t end) const = 0;
  virtual double after(double similarity, size_t i) const = 0;

  // Four sums side by side: the additions need not wait for each other.
  template <typename Term>
  static double sum_of(size_t begin, size_t end, const Term& term) {
    double lanes[4] = {};
    size_t i = begin;
    for (; i + 4 <= end; i += 4)
      for (size_t t = 0; t < 4; ++t) lanes[t] += term(i + t);
    for (size_t t = 0; i + t < end; ++t) lanes[t] += term(i + t);
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
  }

  Tiles tiles_;
  std::vector<double> reached_, cap_, bonus_;
  std::vector<double> partial_;
};

class FacilityLocation : public Coverage {
 public:
  using Coverage::Coverage;

 protected:
  double sum(const float* similarity, size_t begin, size_t end) const override {
    return sum_of(begin, end, [&](size_t i) {
      return std::max(0.0, std::min(static_cast<double>(similarity[i - begin]), cap_[i]) - reached_[i]);
    });
  }
  double after(double similarity, size_t i) const override {
    return std::max(reached_[i], std::min(similarity, cap_[i]));
  }
};

class SaturatedCoverage : public Coverage {
 public:
  using Coverage::Coverage;

 protected:
  double sum(const float* similarity, size_t begin, size_t end) const override {
    return sum_of(begin, end, [&](size_t i) {
      return std::min(static_cast<double>(similarity[i - begin]), std::max(0.0, cap_[i] - reached_[i]));
    });
  }
  double after(double similarity, size_t i) const override { return reached_[i] + similarity; }
};

struct Neighbour {
  float similarity;
  int32_t row;
  // The heap's top is the worst that is kept: least similar, then the highest row.
  bool operator<(const Neighbour& other) const {
    return similarity > other.similarity || (similarity == other.similarity && row < other.row);
  }
};

class SparseFacilityLocation : public Objective {
 public:
  SparseFacilityLocation(const Tiles& tiles, size_t neighbours)
      : pool_(tiles.pairs().context().pool), reached_(tiles.pairs().a().rows, 0) {
    const size_t n = reached_.size();
    const size_t k = std::min(neighbours, n);
    std::vector<Neighbour> nearest(n * k);
    pool_.for_blocks(n, kRows, [&](unsigned, size_t first, size_t last) {
      tiles.pairs().context().control.check();
      float similarity[kRows * kPoints];
      int32_t rows[kRows];
      for (size_t i = first; i < last; ++i) rows[i - first] = static_cast<int32_t>(i);
      for (size_t begin = 0; begin < n; begin += kPoints) {
        const size_t end = std::min(n, begin + kPoints);
        tiles.tile(rows, last - first, begin, end, similarity);
        for (size_t i = first; i < last; ++i) {
          Neighbour* heap = nearest.data() + i * k;
          for (size_t j = begin; j < end; ++j) {
            const Neighbour found{similarity[(i - first) * kPoints + j - begin], static_cast<int32_t>(j)};
            if (j < k) {
              heap[j] = found;
              if (j + 1 == k) std::make_heap(heap, heap + k);
            } else if (found < heap[0]) {
              std::pop_heap(heap, heap + k);
              heap[k - 1] = found;
              std::push_heap(heap, heap + k);
            }
          }
        }
      }
    });
    // by candidate: the points that count it among their neighbours, ascending
    starts_.assign(n + 1, 0);
    for (const Neighbour& neighbour : nearest) ++starts_[static_cast<size_t>(neighbour.row) + 1];
    for (size_t i = 0; i < n; ++i) starts_[i + 1] += starts_[i];
    entries_.resize(nearest.size());
    std::vector<size_t> next(starts_.begin(), starts_.end() - 1);
    for (size_t i = 0; i < n; ++i)
      for (size_t t = 0; t < k; ++t) {
        const Neighbour& neighbour = nearest[i * k + t];
        entries_[next[static_cast<size_t>(neighbour.row)]++] = {neighbour.similarity, static_cast<int32_t>(i)};
      }
  }

  void gains(const int32_t* rows, size_t count, double* out) override {
    pool_.for_blocks(count, 64, [&](unsigned, size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) {
        out[r] = 0;
        const auto row = static_cast<size_t>(rows[r]);
        for (size_t e = starts_[row]; e < starts_[row + 1]; ++e)
          out[r] += std::max(0.0, static_cast<double>(entries_[e].similarity) - reached_[point(e)]);
      }
    });
  }

  void add(int32_t row) override {
    for (size_t e = starts_[static_cast<size_t>(row)]; e < starts_[static_cast<size_t>(row) + 1]; ++e)
      reached_[point(e)] = std::max(reached_[point(e)], static_cast<double>(entries_[e].similarity));
  }

 private:
  size_t point(size_t entry) const { return static_cast<size_t>(entries_[entry].row); }
  ThreadPool& pool_;
  std::vector<double> reached_;
  std::vector<size_t> starts_;
  std::vector<Neighbour> entries_;
};

}  // namespace

ObjectivePtr facility_location(Tiles tiles, Levels levels) {
  return std::make_unique<FacilityLocation>(std::move(tiles), std::move(levels));
}

ObjectivePtr saturated_coverage(Tiles tiles, std::vector<double> cap) {
  return std::make_unique<SaturatedCoverage>(std::move(tiles), Levels{{}, std::move(cap), {}});
}

ObjectivePtr sparse_facility_location(const Tiles& tiles, size_t neighbours) {
  return std::make_unique<SparseFacilityLocation>(tiles, neighbours);
}

}  // namespace coregain::objectives
