#include "reduce/nn_descent.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "kernels/distances.h"
#include "objectives/random.h"
#include "reduce/centred.h"
#include "strategies/rows.h"

namespace coregain::reduce {
namespace {

constexpr size_t kTrees = 8;
constexpr size_t kLeaf = 64;        // rows of a leaf at most
constexpr size_t kCandidates = 60;  // of a row, new and old each, at most
constexpr size_t kRounds = 12;
constexpr double kSettled = 0.002;  // share of all neighbours: a round that finds fewer is the last
constexpr size_t kBlock = 32;

constexpr uint32_t kNew = 0x80000000;  // flag of a neighbour that its neighbours have not met
constexpr uint32_t kNobody = 0x7fffffff;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Centred {
  size_t n, stride;
  Buffer<float> y;
  const DistancesKernel& kernel;
  const float* row(size_t i) const { return y.data() + i * stride; }
};

Centred centred(const Matrix& x, ThreadPool& pool, const Control& control, const std::string& simd) {
  const std::vector<double> mean = strategies::mean_of(x, pool, control);
  centred_lengths(x, mean, pool, control);  // only to refuse what float32 cannot hold
  const size_t stride = (x.cols + DistancesKernel::kSums - 1) / DistancesKernel::kSums * DistancesKernel::kSums;
  Centred rows = {x.rows, stride, Buffer<float>(x.rows * stride), distances_kernel(simd)};
  pool.for_blocks(x.rows, kBlock, [&](unsigned, size_t begin, size_t end) {
    control.check();
    for (size_t i = begin; i < end; ++i) {
      float* out = rows.y.data() + i * stride;
      centre(x, mean, i, 1, 0, x.cols, out);
      std::fill(out + x.cols, out + stride, 0.0F);
    }
  });
  return rows;
}

// The k nearest that were met so far of each row, ascending by (square, row). What it holds in the end does not depend
// on the order in which rows are offered: it is the least k of all.
class Lists {
 public:
  Lists(size_t n, size_t k) : k_(k), square_(n * k, kInfinity), row_(n * k, kNobody), limit_(n), locks_(n) {
    for (std::atomic<float>& limit : limit_) limit.store(kInfinity, std::memory_order_relaxed);
  }
  uint32_t* rows(size_t i) { return &row_[i * k_]; }
  const uint32_t* rows(size_t i) const { return &row_[i * k_]; }
  // What is farther need not be offered; may be read while other threads offer.
  float limit(size_t i) const { return limit_[i].load(std::memory_order_relaxed); }

  void offer(size_t i, uint32_t row, float square) {
    if (square > limit(i)) return;
    while (locks_[i].test_and_set(std::memory_order_acquire)) {
    }
    insert(&square_[i * k_], &row_[i * k_], row, square);
    limit_[i].store(square_[i * k_ + k_ - 1], std::memory_order_relaxed);
    locks_[i].clear(std::memory_order_release);
  }

 private:
  void insert(float* squares, uint32_t* rows, uint32_t row, float square) const {
    const auto behind = [&](size_t r) { return squares[r] != square ? squares[r] > square : (rows[r] & ~kNew) > row; };
    if (!behind(k_ - 1)) return;
    size_t at = k_ - 1;
    while (at > 0 && behind(at - 1)) --at;
    if (at > 0 && (rows[at - 1] & ~kNew) == row) return;
    for (size_t r = k_ - 1; r > at; --r) {
      squares[r] = squares[r - 1];
      rows[r] = rows[r - 1];
    }
    squares[at] = square;
    rows[at] = row | kNew;
  }

  size_t k_;
  std::vector<float> square_;
  std::vector<uint32_t> row_;
  std::vector<std::atomic<float>> limit_;
  std::vector<std::atomic_flag> locks_;
};

// Row `i` meets each of `others`; both remember.
void meet(const Centred& rows, Lists& lists, uint32_t i, const uint32_t* others, size_t count) {
  constexpr size_t kRows = DistancesKernel::kRows;
  const float* at[kRows];
  float square[kRows];
  for (size_t from = 0; from < count; from += kRows) {
    const size_t some = std::min(kRows, count - from);
    for (size_t r = 0; r < kRows; ++r) at[r] = rows.row(others[from + std::min(r, some - 1)]);
    rows.kernel.squares(rows.row(i), at, rows.stride, square);
    for (size_t r = 0; r < some; ++r) {
      const uint32_t other = others[from + r];
      if (other == i) continue;
      lists.offer(i, other, square[r]);
      lists.offer(other, i, square[r]);
    }
  }
}

// A random-projection tree: rows parted in two, and again, by their projections on the line through two of them, at a
// random place in their middle third: trees that part at the same place would leave rows beside it strangers. Returns
// the rows in the order of the leaves, which begin at `leaves`.
std::vector<uint32_t> plant(const Centred& rows, uint64_t seed, size_t tree, const Control& control,
                            std::vector<size_t>& leaves) {
  std::vector<uint32_t> order(rows.n);
  for (size_t i = 0; i < rows.n; ++i) order[i] = static_cast<uint32_t>(i);
  objectives::Words words(seed, tree);
  std::vector<float> line(rows.stride);
  std::vector<std::pair<float, uint32_t>> projected;
  std::vector<std::pair<size_t, size_t>> parts = {{0, rows.n}};
  while (!parts.empty()) {
    control.check();
    const auto [begin, end] = parts.back();
    parts.pop_back();
    if (end - begin <= kLeaf) {
      leaves.push_back(begin);
      continue;
    }
    const float* a = rows.row(order[begin + words.below(end - begin)]);
    const float* b = rows.row(order[begin + words.below(end - begin)]);
    for (size_t j = 0; j < rows.stride; ++j) line[j] = a[j] - b[j];
    projected.clear();
    for (size_t p = begin; p < end; ++p)
      projected.emplace_back(rows.kernel.product(rows.row(order[p]), line.data(), rows.stride), order[p]);
    const size_t size = end - begin, middle = begin + size / 3 + words.below(size / 3);
    std::nth_element(projected.begin(), projected.begin() + static_cast<ptrdiff_t>(middle - begin), projected.end());
    for (size_t p = begin; p < end; ++p) order[p] = projected[p - begin].second;
    // each part in the order of its rows: what nth_element leaves is its own affair
    std::sort(order.begin() + static_cast<ptrdiff_t>(begin), order.begin() + static_cast<ptrdiff_t>(middle));
    std::sort(order.begin() + static_cast<ptrdiff_t>(middle), order.begin() + static_cast<ptrdiff_t>(end));
    parts.emplace_back(middle, end);
    parts.emplace_back(begin, middle);
  }
  leaves.push_back(rows.n);
  return order;
}

// Rows that share a leaf meet. Returns the order of the first tree: rows near each other in it are near in space.
std::vector<uint32_t> meet_in_trees(const Centred& rows, Lists& lists, uint64_t seed, ThreadPool& pool,
                                    const Control& control) {
  std::vector<std::vector<uint32_t>> orders(kTrees);
  std::vector<std::vector<size_t>> leaves(kTrees);
  pool.for_blocks(
      kTrees, 1, [&](unsigned, size_t tree, size_t) { orders[tree] = plant(rows, seed, tree, control, leaves[tree]); });
  for (size_t tree = 0; tree < kTrees; ++tree) {
    const std::vector<uint32_t>& order = orders[tree];
    pool.for_blocks(leaves[tree].size() - 1, 1, [&](unsigned, size_t leaf, size_t) {
      control.check();
      const size_t end = leaves[tree][leaf + 1];
      for (size_t p = leaves[tree][leaf]; p + 1 < end; ++p) meet(rows, lists, order[p], &order[p + 1], end - p - 1);
    });
  }
  return std::move(orders[0]);
}

// A list that is not full meets rows from a random one on until it is.
void fill(const Centred& rows, Lists& lists, size_t k, uint64_t seed, ThreadPool& pool, const Control& control) {
  std::vector<uint32_t> lacking;
  for (uint32_t i = 0; i < rows.n; ++i)
    if (lists.limit(i) == kInfinity) lacking.push_back(i);
  pool.for_blocks(lacking.size(), kBlock, [&](unsigned, size_t begin, size_t end) {
    control.check();
    std::vector<uint32_t> some(std::min(rows.n, 2 * k + 2));
    for (size_t p = begin; p < end; ++p) {
      const uint32_t first = objectives::Words(seed, kTrees + lacking[p]).below(rows.n);
      for (size_t r = 0; r < some.size(); ++r) some[r] = static_cast<uint32_t>((first + r) % rows.n);
      meet(rows, lists, lacking[p], some.data(), some.size());
    }
  });
}

// Candidates of each row: at most `most` of its new neighbours and of the rows that have it as a new neighbour, and the
// same of the old ones, chosen by lot.
struct Candidates {
  size_t most;
  std::vector<uint32_t> fresh, known;  // [n, most]
  std::vector<uint32_t> fresh_count, known_count;
};

uint64_t lot(uint64_t seed, uint64_t a, uint64_t b) {
  uint64_t z = seed ^ (a << 32 | b);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Edges of all lists turned around: who has row i as a neighbour, [offset[i], offset[i + 1]), with the flag.
struct Reverse {
  std::vector<size_t> offset;
  std::vector<uint32_t> from;
};

Reverse reverse(const Lists& lists, size_t n, size_t k) {
  Reverse out;
  out.offset.assign(n + 1, 0);
  for (size_t i = 0; i < n; ++i)
    for (size_t r = 0; r < k; ++r) ++out.offset[(lists.rows(i)[r] & ~kNew) + 1];
  for (size_t i = 0; i < n; ++i) out.offset[i + 1] += out.offset[i];
  out.from.resize(n * k);
  std::vector<size_t> next(out.offset.begin(), out.offset.end() - 1);
  for (size_t i = 0; i < n; ++i) {
    for (size_t r = 0; r < k; ++r) {
      const uint32_t row = lists.rows(i)[r];
      out.from[next[row & ~kNew]++] = static_cast<uint32_t>(i) | (row & kNew);
    }
  }
  return out;
}

void choose(const Lists& lists, size_t n, size_t k, uint64_t seed, Candidates& candidates, ThreadPool& pool,
            const Control& control) {
  const Reverse back = reverse(lists, n, k);
  pool.for_blocks(n, kBlock, [&](unsigned, size_t begin, size_t end) {
    control.check();
    std::vector<std::pair<uint64_t, uint32_t>> drawn;
    for (size_t i = begin; i < end; ++i) {
      for (const bool fresh : {true, false}) {
        drawn.clear();
        const auto add = [&](uint32_t row, bool forward) {
          if (((row & kNew) != 0) != fresh) return;
          const uint32_t other = row & ~kNew;
          // an edge has one lot at both its ends
          drawn.emplace_back(forward ? lot(seed, i, other) : lot(seed, other, i), other);
        };
        for (size_t r = 0; r < k; ++r) add(lists.rows(i)[r], true);
        for (size_t e = back.offset[i]; e < back.offset[i + 1]; ++e) add(back.from[e], false);
        const size_t count = std::min(candidates.most, drawn.size());
        std::partial_sort(drawn.begin(), drawn.begin() + static_cast<ptrdiff_t>(count), drawn.end());
        uint32_t* out = &(fresh ? candidates.fresh : candidates.known)[i * candidates.most];
        for (size_t c = 0; c < count; ++c) out[c] = drawn[c].second;
        std::sort(out, out + count);
        (fresh ? candidates.fresh_count : candidates.known_count)[i] =
            static_cast<uint32_t>(std::unique(out, out + count) - out);
      }
    }
  });
}

// Chosen neighbours are new no more.
void age(Lists& lists, size_t n, size_t k, const Candidates& candidates, ThreadPool& pool) {
  pool.for_blocks(n, 4 * kBlock, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const uint32_t* fresh = &candidates.fresh[i * candidates.most];
      for (size_t r = 0; r < k; ++r) {
        uint32_t& row = lists.rows(i)[r];
        if ((row & kNew) != 0 && std::binary_search(fresh, fresh + candidates.fresh_count[i], row & ~kNew))
          row &= ~kNew;
      }
    }
  });
}

size_t count_new(const Lists& lists, size_t n, size_t k) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t r = 0; r < k; ++r) count += (lists.rows(i)[r] & kNew) != 0 ? 1 : 0;
  return count;
}

}  // namespace

Neighbours nn_descent(const Matrix& x, size_t wanted, size_t more, uint64_t seed, ThreadPool& pool,
                      const Control& control, const std::string& simd, const std::function<void(size_t)>& done) {
  const Centred rows = centred(x, pool, control, simd);
  const size_t n = rows.n, k = std::min(n - 1, wanted + more);
  Lists lists(n, k);
  const std::vector<uint32_t> order = meet_in_trees(rows, lists, seed, pool, control);
  fill(rows, lists, k, seed, pool, control);
  const size_t most = std::min(n - 1, kCandidates);
  const std::vector<uint32_t> places(n * most), counts(n);
  Candidates candidates = {most, places, places, counts, counts};
  for (size_t round = 0; round < kRounds; ++round) {
    done(n * (round + 1) / (kRounds + 2));
    choose(lists, n, k, lot(seed, 1, round), candidates, pool, control);
    age(lists, n, k, candidates, pool);
    const size_t before = count_new(lists, n, k);
    pool.for_blocks(n, kBlock, [&](unsigned, size_t begin, size_t end) {
      control.check();
      for (size_t p = begin; p < end; ++p) {
        const size_t i = order[p];
        const uint32_t* fresh = &candidates.fresh[i * candidates.most];
        const uint32_t* known = &candidates.known[i * candidates.most];
        const size_t count = candidates.fresh_count[i];
        for (size_t c = 0; c < count; ++c) {
          meet(rows, lists, fresh[c], fresh + c + 1, count - c - 1);
          meet(rows, lists, fresh[c], known, candidates.known_count[i]);
        }
      }
    });
    const size_t few = static_cast<size_t>(kSettled * static_cast<double>(n * k));
    if (count_new(lists, n, k) <= before + few) break;
  }

  Neighbours out;
  out.k = wanted;
  out.row.resize(n * wanted);
  out.distance.resize(n * wanted);
  pool.for_blocks(n, kBlock, [&](unsigned, size_t begin, size_t end) {
    control.check();
    std::vector<std::pair<double, int32_t>> near(k);
    for (size_t i = begin; i < end; ++i) {
      for (size_t r = 0; r < k; ++r) {
        const uint32_t row = lists.rows(i)[r] & ~kNew;
        near[r] = {distance(x, i, x, row), static_cast<int32_t>(row)};
      }
      std::sort(near.begin(), near.end());
      for (size_t r = 0; r < wanted; ++r) std::tie(out.distance[i * wanted + r], out.row[i * wanted + r]) = near[r];
    }
  });
  done(n);
  return out;
}

double recall(const Neighbours& found, const Matrix& x, size_t sample, ThreadPool& pool, const Control& control,
              const std::string& simd) {
  const size_t k = found.k, count = std::min(sample, x.rows);
  const size_t bytes = x.cols * (x.is_double ? sizeof(double) : sizeof(float));
  std::vector<char> data(count * bytes);
  const auto row_of = [&](size_t s) { return s * x.rows / count; };
  for (size_t s = 0; s < count; ++s)
    std::copy_n(static_cast<const char*>(x.data) + row_of(s) * bytes, bytes, &data[s * bytes]);
  // A row is among its own nearest: one more, and it is left out.
  const size_t more = std::min(k + 1, x.rows);
  const Neighbours exact =
      nearest({data.data(), x.is_double, count, x.cols}, x, false, more, pool, control, simd, [](size_t) {});
  size_t hits = 0;
  for (size_t s = 0; s < count; ++s) {
    const double* all = &exact.distance[s * more];
    const double farthest = all[k];
    const double* got = &found.distance[row_of(s) * k];
    hits += static_cast<size_t>(std::upper_bound(got, got + k, farthest) - got);
  }
  return static_cast<double>(hits) / static_cast<double>(count * k);
}

}  // namespace coregain::reduce
