// Eigenvalues of a diagonal matrix plus one of rank 1.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/doubles.h"

namespace coregain::linear {

// D + rho z z^T: the diagonal rises, no two of its elements are equal and no z is 0.
struct Secular {
  std::vector<double> d, z;
  double rho = 0;  // > 0
};

// An eigenvalue d[origin] + tau, as the pole that is nearest and what it is off: d[j] less it, (d[j] - d[origin]) -
// tau, has all its digits.
struct Root {
  size_t origin;
  double tau;
};

// Eigenvalue i of the rising ones, which is between d[i] and d[i + 1]: the root of 1 / rho + sum_j z[j]^2 / (d[j] - x),
// by rational functions that have its value and slope (Li, LAPACK working note 89), within a bracket. 3 to 5 steps
// of 2 d.size() operations.
Root secular_root(const Secular& problem, size_t i, const DoublesKernel& kernel);

}  // namespace coregain::linear
