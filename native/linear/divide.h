// Eigenvectors of a tridiagonal matrix by divide and conquer.
#pragma once

#include <cstddef>

#include "linear/eigen.h"
#include "linear/tridiagonal.h"

namespace coregain::linear {

// All eigenvalues and the leading `count` eigenvectors. T is two tridiagonal matrices side by side plus one of rank 1
// (Cuppen); with their eigenvectors it is diagonal plus rank 1, of which what barely couples is left out (Dongarra and
// Sorensen), and vectors made of weights that belong to the computed eigenvalues are orthogonal (Gu and Eisenstat).
// At most 4/3 n^3 operations, as matrix products, and n^2 count / n^3 of them at the top. Throws Error ERR_CANCELLED,
// ERR_EIGEN.
Eigen divide(Tridiagonal t, size_t count, const Solvers& with);

}  // namespace coregain::linear
