#include "linear/secular.h"

#include <algorithm>
#include <cmath>

namespace coregain::linear {
namespace {

constexpr double kRounding = 0x1p-53;
constexpr int kMostSteps = 200;     // a bracket of doubles is empty before
constexpr int kRationalSteps = 20;  // usually 3; then every other one halves the bracket

// 1 / rho + the sums of poles up to `left` and of the others, at d[origin] + tau.
struct Sums {
  double value, below, above, below_slope, above_slope;
};

Sums sums(const Secular& p, size_t left, const Root& at, const DoublesKernel& kernel) {
  const size_t count = left + 1;
  double low[2], high[2];
  kernel.poles(p.d.data(), p.z.data(), p.d[at.origin], at.tau, count, low);
  kernel.poles(p.d.data() + count, p.z.data() + count, p.d[at.origin], at.tau, p.d.size() - count, high);
  return {1 / p.rho + low[0] + high[0], low[0], high[0], low[1], high[1]};
}

// The solution of c x^2 - a x + b = 0 that is 0 for b = 0 (`near`), or the other one where that leads out of the
// last interval.
double quadratic(double a, double b, double c, bool near) {
  const double root = std::sqrt(std::fabs(a * a - 4 * b * c));
  if (c == 0) return b / a;
  if (near == (a > 0)) return 2 * b / (a > 0 ? a + root : a - root);
  return (near ? a - root : a + root) / (2 * c);
}

}  // namespace

Root secular_root(const Secular& p, size_t i, const DoublesKernel& kernel) {
  const size_t n = p.d.size();
  if (n == 1) return {0, p.rho * p.z[0] * p.z[0]};
  const bool last = i + 1 == n;
  // the poles beside the root; of the last one, those below it
  const size_t left = last ? n - 2 : i, right = left + 1;
  const double gap = p.d[right] - p.d[left];
  const double left_square = p.z[left] * p.z[left], right_square = p.z[right] * p.z[right];

  Root root = {last ? right : left, 0};
  double low = 0, high = 0;
  if (last) {
    double squares = 0;
    for (const double z : p.z) squares += z * z;
    high = p.rho * squares * (1 + 0x1p-40);
    root.tau = high / 2;
  } else {
    // The half that has the root, and the root if all other poles stay what they are in the middle.
    root.tau = gap / 2;
    const Sums middle = sums(p, left, root, kernel);
    const double c = middle.value + 2 * (left_square - right_square) / gap;
    if (middle.value >= 0) {
      high = gap / 2;
      root.tau = quadratic(c * gap + left_square + right_square, left_square * gap, c, true);
    } else {
      root.origin = right;
      low = -gap / 2;
      root.tau = -quadratic(-c * gap + left_square + right_square, right_square * gap, -c, true);
    }
    if (!(root.tau > low && root.tau < high)) root.tau = (low + high) / 2;
  }

  bool fixed = !last;  // the weight of the nearest pole is its own
  double before = 0;
  for (int step = 0; step < kMostSteps; ++step) {
    const Sums f = sums(p, left, root, kernel);
    const double size = std::fabs(f.below) + std::fabs(f.above), slope = f.below_slope + f.above_slope;
    const double rounding = (static_cast<double>(n) / 16 + 8) * size + 1 / p.rho + std::fabs(root.tau) * slope;
    if (std::fabs(f.value) <= kRounding * rounding) break;
    (f.value < 0 ? low : high) = root.tau;
    if (!last && step > 0 && f.value * before > 0 && std::fabs(f.value) > std::fabs(before) / 10) fixed = !fixed;
    before = f.value;
    const double origin = p.d[root.origin];
    const double to_left = (p.d[left] - origin) - root.tau, to_right = (p.d[right] - origin) - root.tau;
    double c = 0;
    if (!fixed)
      c = f.value - to_left * f.below_slope - to_right * f.above_slope;
    else if (root.origin == left)
      c = f.value - to_right * slope + gap * left_square / (to_left * to_left);
    else
      c = f.value - to_left * slope - gap * right_square / (to_right * to_right);
    if (last) c = std::fabs(c);
    const double a = (to_left + to_right) * f.value - to_left * to_right * slope;
    double change = quadratic(a, to_left * to_right * f.value, c, !last);
    if (!(f.value * change < 0)) change = -f.value / slope;
    double next = root.tau + change;
    if (!(next > low && next < high) || (step >= kRationalSteps && step % 2 == 0)) next = low + (high - low) / 2;
    if (next == low || next == high) break;
    root.tau = next;
  }
  return root;
}

}  // namespace coregain::linear
