// What is rendered: objects on a studio backdrop, a pinhole camera and three lamps, in CLEVR's world (z up, metres).
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "render/vec3.h"

namespace coregain::render {

enum class Shape { kCube = 0, kSphere = 1, kCylinder = 2 };
enum class Material { kRubber = 0, kMetal = 1 };

// A unit cube [-1, 1]^3, unit sphere, or upright cylinder (radius 1, |z| <= 1), turned about z, scaled and moved.
struct Object {
  Shape shape;
  Material material;
  Vec3 center;
  double scale;     // half the side, or the radius
  double cos, sin;  // of the turn about z
  Vec3 colour;      // linear reflectance

  // 1 + shape * 2 + material; 0 is the background.
  int class_id() const { return 1 + static_cast<int>(shape) * 2 + static_cast<int>(material); }
};

// Blender's convention: looks along -back, `up` is up in the image; the columns of matrix_world.
struct Camera {
  Vec3 right, up, back, location;
  double focal;  // in image widths: fx = fy = focal * size, centre of the image = principal point

  // Ray through image position (x, y) in pixels. Its direction has length 1 along the camera's axis, so that t is the
  // planar depth.
  Ray ray(double x, double y, int size) const {
    const double f = focal * size;
    return {location, right * ((x - size / 2.0) / f) + up * ((size / 2.0 - y) / f) - back};
  }
};

enum Lamp { kKey = 0, kBack = 1, kFill = 2, kLamps = 3 };

struct Scene {
  Camera camera;
  std::array<Vec3, kLamps> lamps;
  // Horizontal unit vector: the floor is flat and rises to a backdrop in this direction.
  Vec3 backdrop;
  std::vector<Object> objects;

  // Numbers as they come from JavaScript: right, up, back, location, focal, key, back, fill, backdrop x and y (24),
  // then for each object shape, material, center, scale, cos, sin, colour (11). Throws std::invalid_argument.
  static Scene unpack(const double* values, size_t count);
};

}  // namespace coregain::render
