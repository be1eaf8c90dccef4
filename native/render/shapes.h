// Where a ray meets a shape. Cubes and cylinders have rounded edges, as CLEVR's have.
#pragma once

#include "render/scene.h"

namespace coregain::render {

inline constexpr double kNever = 1e30;

// Smallest t > 0 at which the ray enters the object, kNever if it misses it. Rays start outside of objects.
double intersect(const Object& object, const Ray& ray);

// A point in the object's own frame, in which the shape has size 1.
Vec3 to_local(const Object& object, Vec3 point);

// Is the shape between two points of its own frame? Takes its edges as sharp, which no soft shadow tells.
bool between(Shape shape, Vec3 from, Vec3 to);

// Outward normal (length 1) at a point of the object's surface.
Vec3 normal_at(const Object& object, Vec3 point);

// Radius of the smallest sphere about `center` that holds the object.
double bounding_radius(const Object& object);

// CLEVR's studio: a floor at z = 0 that bends up, s = distance along `backdrop`, into a wall.
double intersect_studio(Vec3 backdrop, const Ray& ray);
Vec3 studio_normal(Vec3 backdrop, Vec3 point);

}  // namespace coregain::render
