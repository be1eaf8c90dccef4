// The pairwise kernels: each on the processor or on the device of the points, and each with a bound on what it is off
// by, known before the first product (docs/kernels.md). The rows that the bounds speak of are Points::x().
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "pairwise/products.h"
#include "reduce/neighbours.h"

namespace coregain::pairwise {

// out[q * rows.count + r] = |y_q - y_r|^2, never negative; errors[q] bounds those of row q. `done` counts queries.
void distances(const Points& points, const Chosen& queries, const Chosen& rows, float* out, double* errors,
               Control& control);

// What gains need to know of a set of rows: sums of y, |y|^2 and |y|, in an order that does not depend on the threads.
struct RowSum {
  std::vector<double> y;  // [d]
  double square = 0, radius = 0;
  size_t count = 0;
};
RowSum sum_rows(const Points& points, const Chosen& rows, const Control& control);
// The same of these rows and of those in `onto`.
RowSum sum_rows(const Points& points, const Chosen& rows, const RowSum& onto, const Control& control);

// The gain of every row, as docs/gain.md has it, for S = `chosen` of D = `members`, distinct rows: one product of all
// rows with a vector. Cosine is for normalized points only.
struct Gains {
  std::vector<double> values, errors;  // [n]
};
Gains gains(const Points& points, const RowSum& chosen, const RowSum& members, bool cosine, const Control& control);

// Facility location with s(v, c) = 1/2 + y_v.y_c / 2 of normalized points: sum over all v of max(0, s(v, c) -
// reached[v]) for each candidate.
Gains coverage_gains(const Points& points, const Chosen& candidates, const float* reached, Control& control);

// nearest[i] = min(nearest[i], |y_i - y_c|^2 over the centres), errors [n] of the new distances; returns the row whose
// nearest centre is farthest, the lowest of equal ones.
size_t update_centres(const Points& points, const Chosen& centres, float* nearest, double* errors, Control& control);

// The k rows with the least reduce::distance to each query, of Points::x(): exact whatever the precision. `queries` are
// made with the origin and the library of `rows`; where they are one object, no row is its own neighbour. `done` is
// called with the queries that are finished.
reduce::Neighbours nearest(const Points& queries, const Points& rows, size_t k, const Control& control,
                           const std::function<void(size_t)>& done);
// Whether a device can propose enough rows for that; otherwise the processor answers.
bool device_finds(size_t k);

}  // namespace coregain::pairwise
