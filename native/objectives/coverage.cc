// How well S covers the points: facility location and saturated coverage, over blocks of similarities made on the fly.
#include <algorithm>
#include <limits>
#include <utility>

#include "objectives/objective.h"

namespace coregain::objectives {
namespace {

constexpr size_t kRows = Tiles::kRows;
constexpr size_t kPoints = Tiles::kPoints;
constexpr float kFull = std::numeric_limits<float>::infinity();  // a point beyond the last: nothing can cover it more

// `values`, or `absent` for each point, padded to whole panels with `beyond`.
std::vector<float> by_point(const Tiles& tiles, const std::vector<double>& values, float absent, float beyond) {
  std::vector<float> out(tiles.padded(), beyond);
  for (size_t i = 0; i < tiles.points(); ++i) out[i] = values.empty() ? absent : static_cast<float>(values[i]);
  return out;
}

// The gain of a row is a sum over the points of terms that never grow when S does, nor do their rounded sums, as their
// order is fixed: lazy and naive evaluation agree to the last bit.
class Coverage : public Objective {
 public:
  Coverage(Tiles tiles, std::vector<double> bonus) : tiles_(std::move(tiles)), bonus_(std::move(bonus)) {}

  void gains(const int32_t* rows, size_t count, double* out) override {
    const size_t points = tiles_.padded();
    const size_t blocks = (points + kPoints - 1) / kPoints;
    const size_t groups = (count + kRows - 1) / kRows;
    partial_.resize(count * blocks);
    // Groups vary fastest: the points of a block stay in the cache.
    tiles_.context().pool.for_blocks(groups * blocks, 1, [&](unsigned, size_t from, size_t to) {
      alignas(64) float similarity[kRows * kPoints];
      for (size_t task = from; task < to; ++task) {
        tiles_.context().control.check();
        const size_t first = task % groups * kRows;
        const size_t block = task / groups;
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
    tiles_.context().pool.for_blocks(tiles_.padded(), kPoints, [&](unsigned, size_t begin, size_t end) {
      alignas(64) float similarity[kPoints];
      tiles_.tile(&row, 1, begin, end, similarity);
      cover(similarity, begin, end);
    });
  }

 protected:
  virtual double sum(const float* similarity, size_t begin, size_t end) const = 0;
  virtual void cover(const float* similarity, size_t begin, size_t end) = 0;

  Tiles tiles_;

 private:
  std::vector<double> bonus_, partial_;
};

class FacilityLocation : public Coverage {
 public:
  FacilityLocation(Tiles tiles, Levels levels)
      : Coverage(std::move(tiles), std::move(levels.bonus)), reached_(by_point(tiles_, levels.floor, 0, kFull)) {
    if (!levels.cap.empty()) cap_ = by_point(tiles_, levels.cap, 0, 0);
  }

 protected:
  double sum(const float* similarity, size_t begin, size_t end) const override {
    const float* cap = cap_.empty() ? nullptr : cap_.data() + begin;
    return tiles_.context().kernel.above(similarity, reached_.data() + begin, cap, end - begin);
  }
  void cover(const float* similarity, size_t begin, size_t end) override {
    for (size_t i = begin; i < end; ++i) {
      const float s = similarity[i - begin];
      reached_[i] = std::max(reached_[i], cap_.empty() ? s : std::min(s, cap_[i]));
    }
  }

 private:
  std::vector<float> reached_, cap_;
};

class SaturatedCoverage : public Coverage {
 public:
  SaturatedCoverage(Tiles tiles, const std::vector<double>& cap)
      : Coverage(std::move(tiles), {}), left_(cap), room_(by_point(tiles_, cap, 0, 0)) {
    left_.resize(room_.size(), 0);
  }

 protected:
  double sum(const float* similarity, size_t begin, size_t end) const override {
    return tiles_.context().kernel.within(similarity, room_.data() + begin, end - begin);
  }
  void cover(const float* similarity, size_t begin, size_t end) override {
    for (size_t i = begin; i < end; ++i) {
      left_[i] = std::max(0.0, left_[i] - static_cast<double>(similarity[i - begin]));
      room_[i] = static_cast<float>(left_[i]);
    }
  }

 private:
  std::vector<double> left_;  // how much more each point can be covered
  std::vector<float> room_;   // the same, rounded
};

struct Neighbour {
  float similarity;
  int32_t row;
  // The heap's top is the worst that is kept: least similar, then the highest row.
  bool operator<(const Neighbour& other) const {
    return similarity > other.similarity || (similarity == other.similarity && row < other.row);
  }
};

// The k rows most similar to each row, in no order.
std::vector<Neighbour> nearest_rows(const Tiles& tiles, size_t k) {
  constexpr size_t kGroup = 4 * kRows;  // rows that a block of points serves while it is in the cache
  const size_t n = tiles.points();
  std::vector<Neighbour> nearest(n * k);
  tiles.context().pool.for_blocks(n, kGroup, [&](unsigned, size_t first, size_t last) {
    alignas(64) float similarity[kRows * kPoints];
    int32_t rows[kGroup];
    for (size_t i = first; i < last; ++i) rows[i - first] = static_cast<int32_t>(i);
    for (size_t begin = 0; begin < n; begin += kPoints) {
      tiles.context().control.check();
      const size_t end = std::min(n, begin + kPoints);
      for (size_t i = first; i < last; ++i) {
        const size_t place = (i - first) % kRows;
        if (place == 0) {
          const size_t count = std::min(kRows, last - i);
          tiles.tile(rows + (i - first), count, begin, std::min(tiles.padded(), begin + kPoints), similarity);
        }
        const float* s = similarity + place * kPoints;
        Neighbour* heap = nearest.data() + i * k;
        for (size_t j = begin; j < end; ++j) {
          if (j >= k && s[j - begin] < heap[0].similarity) continue;
          const Neighbour found{s[j - begin], static_cast<int32_t>(j)};
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
  return nearest;
}

class SparseFacilityLocation : public Objective {
 public:
  SparseFacilityLocation(const Tiles& tiles, size_t neighbours)
      : pool_(tiles.context().pool), reached_(tiles.points(), 0) {
    const size_t n = reached_.size();
    const size_t k = std::min(neighbours, n);
    const std::vector<Neighbour> nearest = nearest_rows(tiles, k);
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

ObjectivePtr saturated_coverage(Tiles tiles, const std::vector<double>& cap) {
  return std::make_unique<SaturatedCoverage>(std::move(tiles), cap);
}

ObjectivePtr sparse_facility_location(const Tiles& tiles, size_t neighbours) {
  return std::make_unique<SparseFacilityLocation>(tiles, neighbours);
}

}  // namespace coregain::objectives
