// Householder's reduction of a symmetric matrix to a tridiagonal one, and the way back for eigenvectors.
#pragma once

#include <cstddef>
#include <vector>

#include "core/buffer.h"
#include "core/control.h"
#include "core/thread_pool.h"
#include "kernels/doubles.h"
#include "kernels/gemm64.h"

namespace coregain::linear {

struct Tridiagonal {
  std::vector<double> diagonal, beside;  // [n] each; beside[i] is between i and i + 1, the last one is 0
};

struct Solvers {
  ThreadPool& pool;
  const Control& control;
  const DoublesKernel& rows;
  const Gemm64Kernel& products;
};

// T = H_{n-2} .. H_0 a H_0 .. H_{n-2} of the upper triangle of a [n, n], whose elements are at most 1 in magnitude. H_k
// = I - u u^T, |u|^2 = 2 or 0; u, which is 0 up to k, takes the place of row k right of the diagonal.
// 4/3 n^3 operations, half of them matrix products. Throws Error ERR_CANCELLED.
Tridiagonal tridiagonal(Buffer<double>& a, size_t n, const Solvers& with);

// Rows of `vectors` [count, n] become H_0 .. H_{n-2} times them; `a` as `tridiagonal` left it. 2 n^2 count operations.
void turn_back(const Buffer<double>& a, size_t n, double* vectors, size_t count, const Solvers& with);

}  // namespace coregain::linear
