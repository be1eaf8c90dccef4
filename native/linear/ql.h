// Eigenvectors of a small tridiagonal matrix.
#pragma once

#include <cstddef>

#include "core/control.h"

namespace coregain::linear {

// QL with implicit shifts (Golub and Van Loan, Matrix Computations, 8.3). `diagonal` [n] becomes the eigenvalues, in no
// order; `beside` [n], beside[i] between i and i + 1, is used up: 0 where at most `negligible`. Rows of `vectors` [n,
// n], `stride` apart, become the eigenvectors where they are the identity. 3 n^3 operations.
// Throws Error ERR_CANCELLED, ERR_EIGEN.
void ql(double* diagonal, double* beside, size_t n, double negligible, double* vectors, size_t stride,
        const Control& control);

}  // namespace coregain::linear
