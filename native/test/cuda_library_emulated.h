// The whole CUDA library, compiled for the processor.
#pragma once

#include "cuda/greedy.cu"    // NOLINT(bugprone-suspicious-include)
#include "cuda/library.cu"   // NOLINT(bugprone-suspicious-include)
#include "cuda/linear.cu"    // NOLINT(bugprone-suspicious-include)
#include "cuda/pairwise.cu"  // NOLINT(bugprone-suspicious-include)
