// Adam and AdamW, one pass over a parameter and its two moments.
#pragma once

#include <cstddef>

namespace coregain::train {

// Kingma and Ba, arXiv 1412.6980, with the order of operations of PyTorch; decoupled = AdamW (arXiv 1711.05101).
struct AdamStep {
  float learning_rate = 0;
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  float weight_decay = 0;
  bool decoupled = true;
  // 1 - beta1^t and sqrt(1 - beta2^t) of step t = 1, 2, ...
  double correction1 = 1;
  double root_correction2 = 1;
};

// The tensors of one parameter, `size` elements each.
struct AdamTensor {
  float* value = nullptr;
  const float* gradient = nullptr;
  float* first = nullptr;
  float* second = nullptr;
  size_t size = 0;
};

// Elements [begin, end). Every element is computed alone, so a cut into pieces changes no bit.
void adam(const AdamTensor& tensor, const AdamStep& step, size_t begin, size_t end);

}  // namespace coregain::train
