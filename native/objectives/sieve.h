// Sieve-streaming (Badanidiyuru, Mirzasoleiman, Karbasi, Krause, KDD 2014, algorithm 3): one pass over rows that need
// not fit in memory, at least (1/2 - epsilon) of the best value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"
#include "objectives/pairs.h"

namespace coregain::objectives {

struct SieveOptions {
  bool log_determinant = false;  // else facility location of `reference`
  Measure measure = Measure::kCosine;
  double gamma = 0;  // 0 = default_gamma(reference)
  double ridge = 1;
  size_t budget = 1;
  double epsilon = 0.1;
  unsigned threads = 0;
  size_t cols = 0;
  bool is_double = false;
  std::vector<uint8_t> reference;  // bytes of reference_rows x cols
  size_t reference_rows = 0;
};

struct Sieved {
  std::vector<double> rows;  // places in the stream, from 0
  std::vector<double> gains;
  double value = 0;
  size_t sieves = 0;  // alive at the end
};

// Thresholds v = (1 + epsilon)^i between the best single value m and 2 budget m, one set for each: a row joins where
// its gain is at least (v / 2 - f) / (budget - size). Memory: for each of the ln(2 budget) / epsilon sets the reference
// points' coverage, or the rows and Cholesky factor of the set.
class Sieve {
 public:
  explicit Sieve(SieveOptions options);
  ~Sieve();
  Sieve(const Sieve&) = delete;
  Sieve& operator=(const Sieve&) = delete;
  // Rows in the order of the stream. Not to be called again once it has thrown, other than ERR_NOT_FINITE.
  void fit(const Matrix& batch, Control& control);
  Sieved best() const;
  size_t cols() const { return options_.cols; }
  bool is_double() const { return options_.is_double; }

 private:
  class Set;
  class CoverageSet;
  class DeterminantSet;
  struct Singles;

  Matrix reference() const;
  void set_range(double single);

  SieveOptions options_;
  std::vector<std::pair<int, std::unique_ptr<Set>>> sets_;  // by exponent, ascending
  double best_single_ = 0;
  double seen_ = 0;
};

}  // namespace coregain::objectives
