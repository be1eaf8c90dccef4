#include "train/adam.h"

#include <cmath>

namespace coregain::train {

void adam(const AdamTensor& tensor, const AdamStep& step, size_t begin, size_t end) {
  // Locals, so that the compiler need not expect them to change with the values written.
  float* __restrict value = tensor.value;
  const float* __restrict gradient = tensor.gradient;
  float* __restrict first = tensor.first;
  float* __restrict second = tensor.second;
  const float beta2 = step.beta2;
  const float weight1 = 1.0F - step.beta1;
  const float weight2 = 1.0F - step.beta2;
  const float epsilon = step.epsilon;
  const auto root = static_cast<float>(step.root_correction2);
  const auto size = static_cast<float>(step.learning_rate / step.correction1);
  const float shrink = step.decoupled ? 1.0F - step.learning_rate * step.weight_decay : 1.0F;
  const float penalty = step.decoupled ? 0.0F : step.weight_decay;
  for (size_t i = begin; i < end; ++i) {
    const float old = value[i];
    const float g = gradient[i] + penalty * old;
    const float m = first[i] + weight1 * (g - first[i]);
    const float v = beta2 * second[i] + weight2 * (g * g);
    first[i] = m;
    second[i] = v;
    value[i] = shrink * old - size * (m / (std::sqrt(v) / root + epsilon));
  }
}

}  // namespace coregain::train
