// Errors that cross the border to the caller.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace coregain {

// `code` is stable (ERR_...), the message is for people; `row` is the input row at fault, -1 where there is none.
struct Error : std::runtime_error {
  Error(std::string error_code, const std::string& message, int64_t at_row = -1)
      : std::runtime_error(message), code(std::move(error_code)), row(at_row) {}
  std::string code;
  int64_t row;
};

}  // namespace coregain
