#include "render/shapes.h"

#include <algorithm>
#include <array>
#include <utility>

namespace coregain::render {
namespace {

// Radius of the rounding, as a part of the half side: gives CLEVR's cubes and cylinders their area in the image.
constexpr double rounding(Shape shape) {
  return shape == Shape::kCube ? 0.14 : 0.05;
}

Vec3 turn_and_scale(const Object& o, Vec3 v) {
  const double k = 1 / o.scale;
  return {(o.cos * v.x + o.sin * v.y) * k, (o.cos * v.y - o.sin * v.x) * k, v.z * k};
}

// t stays the same because the direction is scaled too.
Ray to_local(const Object& o, const Ray& ray) {
  return {turn_and_scale(o, ray.origin - o.center), turn_and_scale(o, ray.direction)};
}

// The part of the line that lies in [-1, 1] along one axis.
void clip(double origin, double direction, double& enter, double& leave) {
  if (direction == 0) {
    if (origin < -1 || origin > 1) leave = -kNever;
    return;
  }
  double a = (-1 - origin) / direction, b = (1 - origin) / direction;
  if (a > b) std::swap(a, b);
  enter = std::max(enter, a);
  leave = std::min(leave, b);
}

// a t^2 + 2 b t + c <= 0: the part of the line that lies in a unit sphere or round a unit cylinder's axis.
void clip_quadric(double a, double b, double c, double& enter, double& leave) {
  if (a == 0) {
    if (c > 0) leave = -kNever;
    return;
  }
  const double discriminant = b * b - a * c;
  if (discriminant < 0) {
    leave = -kNever;
    return;
  }
  const double root = std::sqrt(discriminant);
  enter = std::max(enter, (-b - root) / a);
  leave = std::min(leave, (-b + root) / a);
}

struct Interval {
  double enter = -kNever, leave = kNever;
};

// Ignores the rounding.
Interval inside(Shape shape, const Ray& ray) {
  const auto& [o, d] = ray;
  Interval in;
  if (shape == Shape::kSphere) {
    clip_quadric(dot(d, d), dot(o, d), dot(o, o) - 1, in.enter, in.leave);
    return in;
  }
  clip(o.z, d.z, in.enter, in.leave);
  if (in.enter > in.leave) return in;
  if (shape == Shape::kCube) {
    clip(o.x, d.x, in.enter, in.leave);
    clip(o.y, d.y, in.enter, in.leave);
  } else {
    clip_quadric(d.x * d.x + d.y * d.y, o.x * d.x + o.y * d.y, o.x * o.x + o.y * o.y - 1, in.enter, in.leave);
  }
  return in;
}

// From the nearest point of the core (the shape less its rounding) to p. On the surface it is as long as the radius of
// the rounding and points along the normal.
Vec3 from_core(Shape shape, Vec3 p) {
  if (shape == Shape::kSphere) return p;
  const double core = 1 - rounding(shape);
  const double z = p.z - std::clamp(p.z, -core, core);
  if (shape == Shape::kCube) return {p.x - std::clamp(p.x, -core, core), p.y - std::clamp(p.y, -core, core), z};
  const double radius = std::sqrt(p.x * p.x + p.y * p.y);
  const double outside = radius > core ? 1 - core / radius : 0;
  return {p.x * outside, p.y * outside, z};
}

// Where the ray enters the rounded shape, kNever if it does not. On a flat face and on a mantle that is where it enters
// the sharp shape. At an edge it walks on by the distance to the surface, which cannot overshoot.
double enter(Shape shape, const Ray& ray) {
  const Interval in = inside(shape, ray);
  if (in.enter > in.leave || in.leave <= 0) return kNever;
  if (shape == Shape::kSphere) return in.enter;
  const double radius = rounding(shape), speed = length(ray.direction);
  double t = in.enter;
  for (int i = 0; i < 64 && t <= in.leave; ++i) {
    const double distance = length(from_core(shape, at(ray, t))) - radius;
    if (distance < 1e-7) return t;
    t += distance / speed;
  }
  return kNever;
}

// The profile of the studio, fitted to the depth maps of CLEVR's base scene (standard deviation 11 mm up to s = 16):
// parabolas that join smoothly; `curve` is the second derivative from `s` on.
struct Piece {
  double s, z, slope, curve;
};

// Rounding must not open a gap where two pieces join.
constexpr double kSlack = 1e-9;

constexpr auto kProfile = [] {
  std::array<Piece, 4> pieces{{{2, 0, 0, 0.00829}, {9, 0, 0, 0.06392}, {12.5, 0, 0, 0.35648}, {14.5, 0, 0, 1.34319}}};
  for (size_t i = 1; i < pieces.size(); ++i) {
    const Piece& p = pieces[i - 1];
    const double u = pieces[i].s - p.s;
    pieces[i].z = p.z + p.slope * u + p.curve * u * u / 2;
    pieces[i].slope = p.slope + p.curve * u;
  }
  return pieces;
}();

}  // namespace

double intersect(const Object& object, const Ray& ray) {
  const double t = enter(object.shape, to_local(object, ray));
  return t > 0 ? t : kNever;
}

Vec3 to_local(const Object& object, Vec3 point) {
  return turn_and_scale(object, point - object.center);
}

bool between(Shape shape, Vec3 from, Vec3 to) {
  const Interval in = inside(shape, {from, to - from});
  return in.enter <= in.leave && in.leave > 0 && in.enter < 1;
}

Vec3 normal_at(const Object& object, Vec3 point) {
  const Vec3 n = normalize(from_core(object.shape, to_local(object, point)));
  return {object.cos * n.x - object.sin * n.y, object.sin * n.x + object.cos * n.y, n.z};
}

double bounding_radius(const Object& object) {
  switch (object.shape) {
    case Shape::kCube:
      return object.scale * 1.7320508075688774;
    case Shape::kCylinder:
      return object.scale * 1.4142135623730951;
    default:
      return object.scale;
  }
}

double intersect_studio(Vec3 backdrop, const Ray& ray) {
  const double s0 = dot(backdrop, ray.origin), ds = dot(backdrop, ray.direction);
  const double z0 = ray.origin.z, dz = ray.direction.z;
  if (dz < 0) {
    const double t = -z0 / dz;
    if (s0 + ds * t <= kProfile[0].s) return t > 0 ? t : kNever;
  }
  // The studio is convex: a ray from within leaves it once, so the first root found is the one.
  for (size_t i = 0; i < kProfile.size(); ++i) {
    const Piece& p = kProfile[i];
    const double u0 = s0 - p.s;
    const double a = p.curve / 2 * ds * ds;
    const double b = (p.slope * ds + p.curve * u0 * ds - dz) / 2;
    const double c = p.z + p.slope * u0 + p.curve / 2 * u0 * u0 - z0;
    double t;
    if (a == 0) {
      if (b == 0) continue;
      t = -c / (2 * b);
    } else {
      const double discriminant = b * b - a * c;
      if (discriminant < 0) continue;
      t = (-b + std::sqrt(discriminant)) / a;
    }
    const double u = u0 + ds * t;
    const double width = i + 1 < kProfile.size() ? kProfile[i + 1].s - p.s : kNever;
    if (t > 0 && u >= -kSlack && u <= width + kSlack) return t;
  }
  return kNever;
}

Vec3 studio_normal(Vec3 backdrop, Vec3 point) {
  const double s = dot(backdrop, point);
  double slope = 0;
  for (const Piece& p : kProfile)
    if (s >= p.s) slope = p.slope + p.curve * (s - p.s);
  return normalize(Vec3{0, 0, 1} - backdrop * slope);
}

}  // namespace coregain::render
