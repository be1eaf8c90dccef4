// Eigenvectors of a symmetric matrix.
#pragma once

#include <cstddef>
#include <vector>

#include "core/buffer.h"
#include "core/control.h"
#include "core/thread_pool.h"
#include "kernels/doubles.h"

namespace coregain::linear {

struct Eigen {
  std::vector<double> values;  // [n], descending
  Buffer<double> vectors;      // [count, n], row i belongs to value i; of length 1
};

// All eigenvalues and the leading `count` eigenvectors of the symmetric `a` [n, n], of which the upper triangle is
// read, and used up: Householder's reduction to a tridiagonal matrix, 4/3 n^3 operations; for vectors divide and
// conquer, at most 4/3 n^3, and 2 n^2 count for the way back. Vectors are orthonormal, and a v is value v, to the
// rounding of a few n sums of |a|. The same bits for any number of threads and any SIMD level. count = 0: values only.
// Throws Error ERR_CANCELLED, ERR_EIGEN where a has no finite eigenvalues.
Eigen eigen(Buffer<double>& a, size_t n, size_t count, ThreadPool& pool, const Control& control,
            const DoublesKernel& kernel);

}  // namespace coregain::linear
