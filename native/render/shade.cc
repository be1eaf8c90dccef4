#include "render/shade.h"

#include <algorithm>
#include <bit>

#include "render/shapes.h"

namespace coregain::render {
namespace {

// Lamps and floor are a least-squares fit to 40 images of CLEVR's base scene in Cycles (root mean square error 0.017 in
// linear light): floor = 0.13 + sum of power * 0.4 * cos * cos(lamp's axis) / distance^2, with lamps that look at the
// origin. Only the products with the floor's reflectance can be fitted; 0.4 makes rubber as bright as Cycles does.
constexpr double kFloor = 0.40;
constexpr double kAmbient = 0.325;
constexpr Vec3 kPower[kLamps] = {{14.5, 13.5, 11.6}, {4.5, 4.55, 4.7}, {3.0, 3.3, 4.1}};
constexpr double kHalfSide[kLamps] = {0.9, 0.9, 0.9};

// What a mirrored ray sees above the backdrop, which fades out between two heights.
constexpr double kSky = 0.035;
constexpr double kWallFades = 4;
constexpr double kWallEnds = 9;

constexpr double kOffset = 1e-4;  // keeps a ray that leaves a surface from meeting it again
constexpr int kBounces = 3;

constexpr int kRubberSharpness = 4;  // highlight = cos^(2^sharpness)
constexpr double kRubberDiffuse = 0.6;
constexpr double kRubberGloss = 0.012;
constexpr int kMetalSharpness = 7;
constexpr double kMetalGloss = 0.10;
constexpr double kMetalDiffuse = 0.07;
constexpr double kMetalMirror = 1.0;

Vec3 mirror(Vec3 direction, Vec3 normal) {
  return direction - normal * (2 * dot(direction, normal));
}

double smooth_step(double from, double to, double x) {
  const double u = std::clamp((x - from) / (to - from), 0.0, 1.0);
  return u * u * (3 - 2 * u);
}

}  // namespace

Shader::Shader(const Scene& scene) : scene_(scene) {
  for (size_t k = 0; k < kLamps; ++k) {
    Light& light = lights_[k];
    light.center = scene.lamps[k];
    light.aim = normalize(light.center * -1);
    light.power = kPower[k];
    const Vec3 across = normalize(cross(light.aim, {0, 0, 1}));
    const Vec3 along = cross(across, light.aim);
    for (int row = 0; row < 4; ++row)
      for (int column = 0; column < 4; ++column)
        light.points[static_cast<size_t>(row) * 4 + static_cast<size_t>(column)] =
            light.center + (across * (column * 0.5 - 0.75) + along * (row * 0.5 - 0.75)) * kHalfSide[k];
  }
  for (const Object& object : scene.objects) {
    radii_.push_back(bounding_radius(object));
    std::array<Grid, kLamps>& local = local_.emplace_back();
    for (size_t k = 0; k < kLamps; ++k)
      for (size_t i = 0; i < local[k].size(); ++i) local[k][i] = to_local(object, lights_[k].points[i]);
  }
  for (const Object& object : scene.objects) {
    const Vec3 base = {object.center.x, object.center.y, 0};
    Vec3 light = {kAmbient, kAmbient, kAmbient};
    for (const Light& lamp : lights_) {
      const Vec3 to = lamp.center - base;
      const double square = dot(to, to), cosine = to.z, axis = -dot(to, lamp.aim);
      if (cosine > 0 && axis > 0) light = light + lamp.power * (cosine * axis / (square * square));
    }
    floor_light_.push_back(light * kFloor);
  }
}

Vec3 Shader::radiance(const Ray& ray, const Hit& hit, int bounce) const {
  if (hit.t >= kNever) return {kSky, kSky, kSky};
  const Vec3 point = at(ray, hit.t);
  if (hit.object == kBackground) {
    const Vec3 normal = studio_normal(scene_.backdrop, point);
    const Surface surface = {point + normal * kOffset, normal, kBackground};
    const double fade = smooth_step(kWallFades, kWallEnds, point.z);
    return (ambient(surface) + lamps(surface, {}, 0).diffuse) * (kFloor * (1 - fade)) + Vec3{kSky, kSky, kSky} * fade;
  }
  const Object& object = scene_.objects[static_cast<size_t>(hit.object)];
  const Vec3 normal = normal_at(object, point);
  const Surface surface = {point + normal * kOffset, normal, hit.object};
  const Vec3 view = normalize(ray.direction);
  const Vec3 mirrored = mirror(view, normal);
  if (object.material == Material::kRubber) {
    const Lit lit = lamps(surface, mirrored, kRubberSharpness);
    return object.colour * (ambient(surface) + lit.diffuse) * kRubberDiffuse + lit.highlight * kRubberGloss;
  }
  const Lit lit = lamps(surface, mirrored, kMetalSharpness);
  // Schlick: metal loses its colour towards grazing angles
  const double grazing = 1 - std::clamp(-dot(view, normal), 0.0, 1.0);
  const double fresnel = grazing * grazing * grazing * grazing * grazing;
  const Vec3 tint = object.colour * (1 - 0.5 * fresnel) + Vec3{1, 1, 1} * (0.5 * fresnel);
  const Vec3 image = bounce < kBounces ? reflected(surface, mirrored, bounce) : Vec3{kSky, kSky, kSky};
  return tint * (image * kMetalMirror + lit.highlight * kMetalGloss) +
         object.colour * (ambient(surface) + lit.diffuse) * kMetalDiffuse;
}

Vec3 Shader::reflected(const Surface& surface, Vec3 direction, int bounce) const {
  const Ray ray = {surface.point, direction};
  Hit hit = {intersect_studio(scene_.backdrop, ray), kBackground};
  for (size_t i = 0; i < scene_.objects.size(); ++i) {
    if (static_cast<int>(i) == surface.object) continue;  // convex
    const double t = intersect(scene_.objects[i], ray);
    if (t < hit.t) hit = {t, static_cast<int>(i)};
  }
  return radiance(ray, hit, bounce + 1) + glow(ray, hit.t);
}

// The lamps themselves, as a mirror shows them: soft squares.
Vec3 Shader::glow(const Ray& ray, double until) const {
  Vec3 sum;
  for (size_t k = 0; k < kLamps; ++k) {
    const Light& light = lights_[k];
    const double facing = -dot(ray.direction, light.aim);
    if (facing <= 0) continue;
    const double t = -dot(light.center - ray.origin, light.aim) / facing;
    if (t <= 0 || t >= until) continue;
    const Vec3 offset = at(ray, t) - light.center;
    const Vec3 across = normalize(light.points[1] - light.points[0]);
    const Vec3 along = normalize(light.points[4] - light.points[0]);
    const double side = std::max(std::abs(dot(offset, across)), std::abs(dot(offset, along)));
    const double lit = 1 - smooth_step(0.6, 1.4, side / kHalfSide[k]);
    sum = sum + light.power * (lit * 0.6);
  }
  return sum;
}

Shader::Lit Shader::lamps(const Surface& surface, Vec3 mirrored, int sharpness) const {
  Lit lit;
  for (size_t k = 0; k < kLamps; ++k) {
    const Light& light = lights_[k];
    const Vec3 to = light.center - surface.point;
    const double square = dot(to, to);
    const Vec3 direction = to * (1 / std::sqrt(square));
    const double axis = -dot(direction, light.aim);
    const double cosine = dot(direction, surface.normal);
    if (axis <= 0 || cosine <= 0) continue;
    const double seen = visible(k, surface);
    if (seen == 0) continue;
    const Vec3 arriving = light.power * (seen * axis / square);
    lit.diffuse = lit.diffuse + arriving * cosine;
    if (sharpness == 0) continue;
    double peak = std::max(0.0, dot(direction, mirrored));
    for (int i = 0; i < sharpness; ++i) peak *= peak;
    lit.highlight = lit.highlight + arriving * (peak * static_cast<double>(1 << sharpness) / 8);
  }
  return lit;
}

// Part of the lamp that the surface sees. Objects far from the cone between the two are ruled out first.
double Shader::visible(size_t lamp, const Surface& surface) const {
  const Light& light = lights_[lamp];
  const Vec3 axis = light.center - surface.point;
  const double square = dot(axis, axis);
  const double reach = length(light.points[0] - light.center);
  unsigned seen = 0xffff;  // a bit for each point of the grid
  for (size_t i = 0; i < scene_.objects.size(); ++i) {
    if (static_cast<int>(i) == surface.object) continue;  // convex: the normal has told already
    const Object& object = scene_.objects[i];
    const Vec3 to = object.center - surface.point;
    const double along = std::clamp(dot(to, axis) / square, 0.0, 1.0);
    const Vec3 apart = to - axis * along;
    const double near = radii_[i] * 1.1 + reach * along;
    if (dot(apart, apart) > near * near) continue;
    const Vec3 from = to_local(object, surface.point);
    const Grid& points = local_[i][lamp];
    const auto hides = [&](size_t k) { return between(object.shape, from, points[k]); };
    // what a convex object hides of a plane is convex: all of the square if its corners
    if (hides(0) && hides(3) && hides(12) && hides(15)) return 0;
    for (size_t k = 0; k < points.size(); ++k)
      if ((seen >> k & 1) != 0 && hides(k)) seen &= ~(1U << k);
    if (seen == 0) return 0;
  }
  return std::popcount(seen) / 16.0;
}

// Light from everywhere, less what the objects near by hide (as spheres: cos * (radius / distance)^2), plus what they
// and the floor throw back.
Vec3 Shader::ambient(const Surface& surface) const {
  const Vec3 n = surface.normal;
  double open = 1;
  Vec3 bounced;
  for (size_t i = 0; i < scene_.objects.size(); ++i) {
    if (static_cast<int>(i) == surface.object) continue;
    const Object& object = scene_.objects[i];
    const Vec3 to = object.center - surface.point;
    const double square = dot(to, to), radius = object.scale * (object.shape == Shape::kSphere ? 1.0 : 1.13);
    if (square > radius * radius * 64) continue;
    const double distance = std::sqrt(square);
    // a sphere that is partly below the horizon counts with the part above it
    const double cosine =
        std::max(0.0, (dot(n, to) / distance + radius / distance * 0.35) / (1 + radius / distance * 0.35));
    const double hidden = std::min(1.0, cosine * radius * radius / square);
    open *= 1 - 0.85 * hidden;
    bounced = bounced + object.colour * (floor_light_[i] * (hidden * 0.55));
  }
  if (surface.object == kBackground) return Vec3{kAmbient, kAmbient, kAmbient} * open + bounced;
  const Object& self = scene_.objects[static_cast<size_t>(surface.object)];
  const double up = 0.5 + 0.5 * n.z;
  // the object's own foot darkens the floor that it stands on
  const double height = std::clamp(surface.point.z / (2 * self.scale), 0.0, 1.0);
  const Vec3 below = floor_light_[static_cast<size_t>(surface.object)] * ((1 - up) * (0.35 + 0.65 * height));
  return (Vec3{kAmbient, kAmbient, kAmbient} * up + below) * open + bounced;
}

}  // namespace coregain::render
