// What squared distances of rounded rows are off by.
#pragma once

#include "pairwise/products.h"

namespace coregain::pairwise {

// The longest and the least exact of some rows, as right sides of products.
Length worst(const Points& points, const Chosen& rows);

// Bounds the squared distances of a row to all that are no longer and no less exact than `other`: twice the product's
// error, the squares' in float64, and a rounding to float32.
double distance_error(const Points& points, size_t row, const Length& other);

}  // namespace coregain::pairwise
