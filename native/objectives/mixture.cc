#include <utility>

#include "objectives/objective.h"

namespace coregain::objectives {
namespace {

class Mixture : public Objective {
 public:
  explicit Mixture(std::vector<std::pair<double, ObjectivePtr>> parts) : parts_(std::move(parts)) {}

  void gains(const int32_t* rows, size_t count, double* out) override {
    part_.resize(count);
    for (size_t r = 0; r < count; ++r) out[r] = 0;
    for (const auto& [weight, objective] : parts_) {
      objective->gains(rows, count, part_.data());
      for (size_t r = 0; r < count; ++r) out[r] += weight * part_[r];
    }
  }

  void add(int32_t row) override {
    for (const auto& [weight, objective] : parts_) objective->add(row);
  }

 private:
  std::vector<std::pair<double, ObjectivePtr>> parts_;
  std::vector<double> part_;
};

}  // namespace

ObjectivePtr mixture(std::vector<std::pair<double, ObjectivePtr>> parts) {
  return std::make_unique<Mixture>(std::move(parts));
}

}  // namespace coregain::objectives
