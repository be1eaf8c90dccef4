// The random numbers of lib/select/random.ts: xoshiro128** 1.1, its state filled by SplitMix64.
#pragma once

#include <bit>
#include <cstdint>

namespace coregain::objectives {

class Words {
 public:
  // Stream `index` of a seed.
  Words(uint64_t seed, uint64_t index) {
    const uint64_t start = mix(seed + kGolden) + index;
    const uint64_t low = mix(start + kGolden);
    const uint64_t high = mix(start + 2 * kGolden);
    state_[0] = static_cast<uint32_t>(low);
    state_[1] = static_cast<uint32_t>(low >> 32);
    state_[2] = static_cast<uint32_t>(high);
    state_[3] = static_cast<uint32_t>(high >> 32);
  }

  uint32_t next() {
    const uint32_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint32_t t = state_[1] << 9;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 11);
    return result;
  }

  // Uniform in 0 .. count - 1, without bias.
  uint32_t below(uint64_t count) {
    const uint64_t all = uint64_t{1} << 32;
    const uint64_t limit = all - all % count;
    for (;;) {
      const uint32_t word = next();
      if (word < limit) return static_cast<uint32_t>(word % count);
    }
  }

 private:
  static constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint32_t state_[4];
};

}  // namespace coregain::objectives
