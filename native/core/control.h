// How a caller on another thread stops a running job and watches it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/error.h"

namespace coregain {

// Two shared int32 words, read and written atomically by both sides: [0] not 0 = cancel, [1] units of work done.
// Without memory of its caller a Control has words of its own.
class Control {
 public:
  Control() = default;
  // `words` must outlive the job.
  explicit Control(int32_t* words) : words_(words) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  void cancel() { word(0).store(1, std::memory_order_relaxed); }
  bool cancelled() const { return word(0).load(std::memory_order_relaxed) != 0; }
  // Throws Error ERR_CANCELLED once cancelled.
  void check() const {
    if (cancelled()) throw Error("ERR_CANCELLED", "The job was cancelled.");
  }
  void done(size_t count) { word(1).store(static_cast<int32_t>(count), std::memory_order_relaxed); }
  // For code that polls [0] itself.
  const int32_t* words() const { return words_; }

 private:
  std::atomic_ref<int32_t> word(size_t i) const { return std::atomic_ref<int32_t>(words_[i]); }

  int32_t own_[2] = {0, 0};
  int32_t* words_ = own_;
};

}  // namespace coregain
