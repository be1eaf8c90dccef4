#include "linear/ql.h"

#include <cmath>

#include "core/error.h"

namespace coregain::linear {
namespace {

constexpr int kMostSweeps = 60;  // for one eigenvalue; two are usual

void rotate(double* x, double* y, size_t n, double c, double s) {
  for (size_t j = 0; j < n; ++j) {
    const double below = y[j];
    y[j] = x[j] * s + below * c;
    x[j] = x[j] * c - below * s;
  }
}

}  // namespace

void ql(double* d, double* e, size_t n, double* vectors, size_t stride) {
  for (size_t l = 0; l < n; ++l) {
    for (int round = 0;; ++round) {
      size_t m = l;
      for (; m + 1 < n; ++m) {
        const double both = std::fabs(d[m]) + std::fabs(d[m + 1]);
        if (std::fabs(e[m]) <= 0x1p-53 * both) break;
      }
      if (m == l) break;
      if (round == kMostSweeps) throw Error("ERR_EIGEN", "The eigenvalues of a matrix could not be found.");
      double g = (d[l + 1] - d[l]) / (2 * e[l]);
      double r = std::sqrt(g * g + 1);
      g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));
      double s = 1, c = 1, p = 0;
      bool whole = true;
      for (size_t i = m; i-- > l;) {
        const double f = s * e[i], b = c * e[i];
        r = std::sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {
          d[i + 1] -= p;
          e[m] = 0;
          whole = false;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        if (vectors != nullptr) rotate(vectors + i * stride, vectors + (i + 1) * stride, n, c, s);
      }
      if (whole) {
        d[l] -= p;
        e[l] = g;
        e[m] = 0;
      }
    }
  }
}

}  // namespace coregain::linear
