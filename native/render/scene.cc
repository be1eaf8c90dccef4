#include "render/scene.h"

#include <stdexcept>

namespace coregain::render {
namespace {

constexpr size_t kHeader = 24;
constexpr size_t kPerObject = 11;
constexpr size_t kMostObjects = 254;  // instance ids are bytes, 0 is the background

Vec3 vec3(const double* v) {
  return {v[0], v[1], v[2]};
}

}  // namespace

Scene Scene::unpack(const double* v, size_t count) {
  if (count < kHeader || (count - kHeader) % kPerObject != 0 || (count - kHeader) / kPerObject > kMostObjects)
    throw std::invalid_argument("A scene must be 24 numbers and 11 for each of at most 254 objects.");
  for (size_t i = 0; i < count; ++i)
    if (!std::isfinite(v[i])) throw std::invalid_argument("A scene must be made of finite numbers.");
  Scene scene;
  scene.camera = {vec3(v), vec3(v + 3), vec3(v + 6), vec3(v + 9), v[12]};
  for (size_t i = 0; i < kLamps; ++i) scene.lamps[i] = vec3(v + 13 + 3 * i);
  scene.backdrop = {v[22], v[23], 0};
  for (const double* o = v + kHeader; o < v + count; o += kPerObject) {
    if (o[0] < 0 || o[0] > 2 || o[1] < 0 || o[1] > 1 || o[5] <= 0)
      throw std::invalid_argument("An object must have shape 0..2, material 0..1 and a positive scale.");
    scene.objects.push_back({static_cast<Shape>(static_cast<int>(o[0])), static_cast<Material>(static_cast<int>(o[1])),
                             vec3(o + 2), o[5], o[6], o[7], vec3(o + 8)});
  }
  return scene;
}

}  // namespace coregain::render
