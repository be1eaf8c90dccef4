#include "objectives/sieve.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "core/cpu.h"
#include "objectives/tiles.h"

namespace coregain::objectives {

// What sets look at of one row of the stream.
struct Sieve::Singles {
  const float* similarity = nullptr;  // to the reference points, padded
  size_t points = 0;
  Matrix batch;
  size_t row = 0;
};

// The rows chosen for one threshold.
class Sieve::Set {
 public:
  Set() = default;
  virtual ~Set() = default;
  Set(const Set&) = delete;
  Set& operator=(const Set&) = delete;
  virtual double gain(const Singles& row) = 0;
  // The row whose gain was asked for last.
  virtual void add(const Singles& row) = 0;

  void offer(const Singles& row, double place, double threshold, size_t budget) {
    if (rows.size() == budget) return;
    const double found = gain(row);
    if (found < (threshold / 2 - value) / static_cast<double>(budget - rows.size())) return;
    add(row);
    rows.push_back(place);
    gains.push_back(found);
    value += found;
  }

  std::vector<double> rows, gains;
  double value = 0;
};

class Sieve::CoverageSet : public Set {
 public:
  CoverageSet(const PanelKernel& kernel, size_t points) : kernel_(kernel), reached_(points, 0) {}
  double gain(const Singles& row) override {
    return kernel_.above(row.similarity, reached_.data(), nullptr, row.points);
  }
  void add(const Singles& row) override {
    for (size_t i = 0; i < row.points; ++i) reached_[i] = std::max(reached_[i], row.similarity[i]);
  }

 private:
  const PanelKernel& kernel_;
  std::vector<float> reached_;
};

class Sieve::DeterminantSet : public Set {
 public:
  explicit DeterminantSet(const SieveOptions& options)
      : options_(options), bytes_(options.cols * (options.is_double ? sizeof(double) : sizeof(float))) {}

  double gain(const Singles& row) override {
    const auto pair = [&](const Matrix& a, size_t i) {
      return pair_of(options_.measure, options_.gamma, a, i, row.batch, row.row);
    };
    const Matrix own{chosen_.data(), options_.is_double, rows.size(), options_.cols};
    column_.resize(rows.size());
    variance_ = pair(row.batch, row.row) + options_.ridge;
    for (size_t t = 0; t < rows.size(); ++t) {
      double left = pair(own, t);
      const std::vector<double>& factor = factors_[t];
      for (size_t u = 0; u < t; ++u) left -= factor[u] * column_[u];
      column_[t] = left / factor[t];
      variance_ -= column_[t] * column_[t];
    }
    variance_ = std::max(variance_, options_.ridge);
    return std::log(variance_);
  }
  void add(const Singles& row) override {
    const auto* from = static_cast<const uint8_t*>(row.batch.data) + row.row * bytes_;
    chosen_.insert(chosen_.end(), from, from + bytes_);
    column_.push_back(std::sqrt(variance_));
    factors_.push_back(column_);
  }

 private:
  const SieveOptions& options_;
  size_t bytes_;  // of a row
  std::vector<uint8_t> chosen_;
  std::vector<std::vector<double>> factors_;  // rows of the Cholesky factor
  std::vector<double> column_;
  double variance_ = 0;
};

Sieve::Sieve(SieveOptions options) : options_(std::move(options)) {
  if (options_.measure == Measure::kRbf && options_.gamma == 0) options_.gamma = default_gamma(reference());
}
Sieve::~Sieve() = default;

Matrix Sieve::reference() const {
  return {options_.reference.data(), options_.is_double, options_.reference_rows, options_.cols};
}

// Sets whose threshold lies in [best single, 2 budget best single]; those below are dropped, those above are new.
void Sieve::set_range(double single) {
  if (single <= best_single_) return;
  best_single_ = single;
  const double base = std::log1p(options_.epsilon);
  const auto low = static_cast<int>(std::ceil(std::log(single) / base));
  const auto high = static_cast<int>(std::floor(std::log(2 * static_cast<double>(options_.budget) * single) / base));
  std::erase_if(sets_, [&](const auto& set) { return set.first < low; });
  for (int i = sets_.empty() ? low : sets_.back().first + 1; i <= high; ++i) {
    std::unique_ptr<Set> set;
    if (options_.log_determinant) {
      set = std::make_unique<DeterminantSet>(options_);
    } else {
      const size_t panels = (options_.reference_rows + PanelKernel::kPoints - 1) / PanelKernel::kPoints;
      set = std::make_unique<CoverageSet>(panel_kernel(""), panels * PanelKernel::kPoints);
    }
    sets_.emplace_back(i, std::move(set));
  }
}

void Sieve::fit(const Matrix& batch, Control& control) {
  const StandardArithmetic standard;
  ThreadPool pool(options_.threads);
  const Context context{pool, control, panel_kernel("")};
  check_finite(batch, pool);
  std::optional<Tiles> tiles;
  if (!options_.log_determinant) tiles.emplace(Pairs(context, options_.measure, options_.gamma, reference(), batch));
  const size_t points = tiles ? tiles->padded() : 0;
  std::vector<float> similarity(Tiles::kRows * points);
  const std::vector<float> nothing(points, 0);
  for (size_t first = 0; first < batch.rows; first += Tiles::kRows) {
    control.check();
    const size_t count = std::min(Tiles::kRows, batch.rows - first);
    int32_t rows[Tiles::kRows];
    for (size_t r = 0; r < count; ++r) rows[r] = static_cast<int32_t>(first + r);
    pool.for_blocks(points, Tiles::kPoints, [&](unsigned, size_t begin, size_t end) {
      alignas(64) float tile[Tiles::kRows * Tiles::kPoints];
      tiles->tile(rows, count, begin, end, tile);
      for (size_t r = 0; r < count; ++r) {
        float* to = similarity.data() + r * points;
        std::copy_n(tile + r * Tiles::kPoints, end - begin, to + begin);
        for (size_t i = std::max(begin, tiles->points()); i < end; ++i) to[i] = 0;
      }
    });
    for (size_t from = 0; from < count;) {
      // Rows up to the next one that raises the best single value meet the same sets.
      size_t to = from;
      const auto look = [&](size_t r) { return Singles{similarity.data() + r * points, points, batch, first + r}; };
      const auto single = [&](size_t r) {
        return options_.log_determinant
                   ? std::log(pair_of(options_.measure, options_.gamma, batch, first + r, batch, first + r) +
                              options_.ridge)
                   : context.kernel.above(look(r).similarity, nothing.data(), nullptr, points);
      };
      set_range(single(from));
      do ++to;
      while (to < count && single(to) <= best_single_);
      pool.for_blocks(sets_.size(), 1, [&](unsigned, size_t begin, size_t end) {
        for (size_t s = begin; s < end; ++s) {
          const double threshold = std::pow(1 + options_.epsilon, sets_[s].first);
          for (size_t r = from; r < to; ++r)
            sets_[s].second->offer(look(r), seen_ + static_cast<double>(r), threshold, options_.budget);
        }
      });
      from = to;
    }
    seen_ += static_cast<double>(count);
    control.done(first + count);
  }
}

Sieved Sieve::best() const {
  const Set* best = nullptr;
  for (const auto& [exponent, set] : sets_)
    if (best == nullptr || set->value > best->value) best = set.get();
  if (best == nullptr) return {};
  return {best->rows, best->gains, best->value, sets_.size()};
}

}  // namespace coregain::objectives
