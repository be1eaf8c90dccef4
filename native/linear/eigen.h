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

// All eigenvalues and the leading `count` eigenvectors of the symmetric `a` [n, n], which is used up: Householder's
// reduction to a tridiagonal matrix, QL with implicit shifts (Golub and Van Loan, Matrix Computations, 8.3). 10 n^2
// count to 10 n^3 operations; the same bits for any number of threads and any SIMD level. count = 0: values only.
// Throws Error ERR_CANCELLED, ERR_EIGEN where a has no finite eigenvalues.
Eigen eigen(Buffer<double>& a, size_t n, size_t count, ThreadPool& pool, const Control& control,
            const DoublesKernel& kernel);

}  // namespace coregain::linear
