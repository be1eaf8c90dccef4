#include "train/adam.h"

#include <cmath>
#include <vector>

#include "check.h"

namespace coregain::train {
namespace {

struct State {
  std::vector<float> value, gradient, first, second;
  AdamTensor tensor() { return {value.data(), gradient.data(), first.data(), second.data(), value.size()}; }
};

State make(size_t n) {
  State s{std::vector<float>(n), std::vector<float>(n), std::vector<float>(n, 0.0F), std::vector<float>(n, 0.0F)};
  for (size_t i = 0; i < n; ++i) {
    s.value[i] = std::sin(static_cast<float>(i));
    s.gradient[i] = std::cos(3.0F * static_cast<float>(i)) * (i % 7 == 0 ? 0.0F : 1.0F);
  }
  return s;
}

AdamStep at(int t, bool decoupled) {
  AdamStep step;
  step.learning_rate = 1e-3F;
  step.weight_decay = 0.05F;
  step.decoupled = decoupled;
  step.correction1 = 1 - std::pow(0.9, t);
  step.root_correction2 = std::sqrt(1 - std::pow(0.999, t));
  return step;
}

TEST("steps follow the formulas in float64") {
  for (const bool decoupled : {true, false}) {
    State s = make(1000);
    std::vector<double> p(s.value.begin(), s.value.end());
    std::vector<double> m(p.size(), 0.0);
    std::vector<double> v(p.size(), 0.0);
    for (int t = 1; t <= 5; ++t) {
      adam(s.tensor(), at(t, decoupled), 0, s.value.size());
      for (size_t i = 0; i < p.size(); ++i) {
        const double g = s.gradient[i] + (decoupled ? 0.0 : 0.05 * p[i]);
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        const double step =
            1e-3 * (m[i] / (1 - std::pow(0.9, t))) / (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
        p[i] = (decoupled ? p[i] * (1 - 1e-3 * 0.05) : p[i]) - step;
      }
    }
    for (size_t i = 0; i < p.size(); ++i) EXPECT(std::abs(s.value[i] - p[i]) < 1e-6);
  }
}

TEST("a cut into pieces changes no bit") {
  State whole = make(1003);
  State cut = make(1003);
  for (int t = 1; t <= 3; ++t) {
    adam(whole.tensor(), at(t, true), 0, 1003);
    for (size_t begin = 0; begin < 1003; begin += 17)
      adam(cut.tensor(), at(t, true), begin, begin + 17 < 1003 ? begin + 17 : 1003);
  }
  EXPECT(whole.value == cut.value && whole.first == cut.first && whole.second == cut.second);
}

TEST("no gradient and no decay: nothing moves") {
  State s = make(50);
  const std::vector<float> before = s.value;
  std::fill(s.gradient.begin(), s.gradient.end(), 0.0F);
  AdamStep step = at(1, true);
  step.weight_decay = 0;
  adam(s.tensor(), step, 0, 50);
  EXPECT(s.value == before);
}

}  // namespace
}  // namespace coregain::train

TEST_MAIN()
