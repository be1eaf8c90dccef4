// How fast memory is copied: what rates of kernels that read and write are held against.
#pragma once

#include "core/control.h"

namespace coregain {

// Bytes a second, those that are read and those that are written, of `threads` (0 = all) that copy memory of their own
// at the same time, together much more than caches hold; the best of several rounds. Throws Error ERR_CANCELLED.
double copy_rate(unsigned threads, const Control& control);

}  // namespace coregain
