// A test runner in one header, so that the core is tested on any machine that has a compiler and nothing else.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace check {

struct Case {
  std::string name;
  std::function<void()> body;
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Register {
  Register(const char* name, std::function<void()> body) { cases().push_back({name, std::move(body)}); }
};

inline void fail(const char* file, int line, const std::string& what) {
  ++failures();
  std::fprintf(stderr, "  %s:%d: %s\n", file, line, what.c_str());
}

inline int run() {
  int failed = 0;
  for (const Case& c : cases()) {
    const int before = failures();
    try {
      c.body();
    } catch (const std::exception& error) {
      fail(c.name.c_str(), 0, std::string("threw: ") + error.what());
    }
    const bool ok = failures() == before;
    failed += !ok;
    std::printf("%s %s\n", ok ? "ok    " : "FAILED", c.name.c_str());
  }
  std::printf("%zu passed, %d failed\n", cases().size() - static_cast<size_t>(failed), failed);
  return failed != 0 || cases().empty();
}

}  // namespace check

#define CHECK_CONCAT2(a, b) a##b
#define CHECK_CONCAT(a, b) CHECK_CONCAT2(a, b)
// TEST("what must hold") { ... }
#define TEST(name)                                                                                               \
  static void CHECK_CONCAT(test_body_, __LINE__)();                                                              \
  static const check::Register CHECK_CONCAT(test_register_, __LINE__)(name, CHECK_CONCAT(test_body_, __LINE__)); \
  static void CHECK_CONCAT(test_body_, __LINE__)()
#define EXPECT(condition)                                          \
  do {                                                             \
    if (!(condition)) check::fail(__FILE__, __LINE__, #condition); \
  } while (false)
#define EXPECT_THROWS(expression)                                                       \
  do {                                                                                  \
    bool threw = false;                                                                 \
    try {                                                                               \
      static_cast<void>(expression);                                                    \
    } catch (const std::exception&) {                                                   \
      threw = true;                                                                     \
    }                                                                                   \
    if (!threw) check::fail(__FILE__, __LINE__, "expected an exception: " #expression); \
  } while (false)
#define TEST_MAIN()      \
  int main() {           \
    return check::run(); \
  }
