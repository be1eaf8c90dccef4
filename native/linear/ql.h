// Eigenvalues of a tridiagonal matrix one after the other.
#pragma once

#include <cstddef>

namespace coregain::linear {

// QL with implicit shifts (Golub and Van Loan, Matrix Computations, 8.3). `diagonal` [n] becomes the eigenvalues, in no
// order; `beside` [n], beside[i] between i and i + 1, is used up. Rows of `vectors` [n, n], `stride` apart, of which
// the matrix is T, become the eigenvectors, 3 n^3 operations; null: values only, some 30 n^2.
// Throws Error ERR_EIGEN.
void ql(double* diagonal, double* beside, size_t n, double* vectors, size_t stride);

}  // namespace coregain::linear
