// How much light comes along a ray: CLEVR's lamps, materials and grey studio, by closed forms where there are any.
#pragma once

#include <array>
#include <vector>

#include "render/scene.h"

namespace coregain::render {

inline constexpr int kBackground = -1;

struct Hit {
  double t;    // kNever: nothing there
  int object;  // index, or kBackground
};

// A scene with what is computed once for all of its pixels. The scene must outlive it.
class Shader {
 public:
  explicit Shader(const Scene& scene);

  // Linear light, 1 = white, that comes back along `ray` from its hit.
  Vec3 radiance(const Ray& ray, const Hit& hit) const { return radiance(ray, hit, 0); }

 private:
  using Grid = std::array<Vec3, 16>;  // points spread over a lamp's square, row by row
  struct Light {
    Vec3 center, aim;
    Grid points;
    Vec3 power;
  };
  struct Surface {
    Vec3 point, normal;
    int object;
  };
  struct Lit {
    Vec3 diffuse;    // irradiance / pi
    Vec3 highlight;  // the lamps' mirror image, blurred
  };

  Vec3 radiance(const Ray& ray, const Hit& hit, int bounce) const;
  Vec3 reflected(const Surface& surface, Vec3 direction, int bounce) const;
  Vec3 glow(const Ray& ray, double until) const;
  Lit lamps(const Surface& surface, Vec3 mirrored, int sharpness) const;
  double visible(size_t lamp, const Surface& surface) const;
  Vec3 ambient(const Surface& surface) const;

  const Scene& scene_;
  std::array<Light, kLamps> lights_;
  std::vector<std::array<Grid, kLamps>> local_;  // the lamps in the frame of each object
  std::vector<double> radii_;                    // of the bounding spheres
  std::vector<Vec3> floor_light_;                // radiance of the floor under each object, were it not there
};

}  // namespace coregain::render
