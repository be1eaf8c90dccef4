// Pieces of a file that are equally long and equally far from each other: columns of rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace coregain {

// Reads `count` pieces of `bytes`, the first at `offset`, each `stride` after the one before, and puts them one behind
// the other. Returns how many bytes could be read before the file ended: count * bytes, or less. Throws Error
// ERR_FILE_UNREADABLE with what the system says.
uint64_t read_pieces(int file, uint64_t offset, uint64_t stride, size_t bytes, size_t count, char* out);

}  // namespace coregain
