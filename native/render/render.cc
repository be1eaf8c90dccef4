#include "render/render.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <new>

#include "core/thread_pool.h"
#include "render/shade.h"
#include "render/shapes.h"

namespace coregain::render {
namespace {

// 8-bit sRGB (IEC 61966-2-1) of linear light. The border between code k and k + 1 is the decoded k + 0.5, so coding is
// a search among 255 borders. No pow: its last bit differs between C libraries, and so would images.
class Srgb {
 public:
  Srgb() {
    for (size_t k = 0; k < borders_.size(); ++k) {
      const double c = (static_cast<double>(k) + 0.5) / 255;
      const double base = (c + 0.055) / 1.055;
      borders_[k] = c <= 0.04045 ? c / 12.92 : base * base * fifth_root(base * base);
    }
  }
  uint8_t encode(double linear) const {
    return static_cast<uint8_t>(std::upper_bound(borders_.begin(), borders_.end(), linear) - borders_.begin());
  }

 private:
  static double fifth_root(double x) {
    double y = 1;
    for (int i = 0; i < 40; ++i) y -= (y - x / (y * y * y * y)) / 5;
    return y;
  }
  std::array<double, 255> borders_;
};

const Srgb& srgb() {
  static const Srgb table;
  return table;
}

// Which object the camera sees. Objects are tried only within the image rectangle that their bounding box projects to.
class View {
 public:
  View(const Scene& scene, int size) : scene_(scene), size_(size) {
    const Camera& camera = scene.camera;
    for (const Object& object : scene.objects) {
      const Vec3 to = object.center - camera.location;
      const double x = dot(to, camera.right), y = -dot(to, camera.up), z = -dot(to, camera.back);
      const double r = bounding_radius(object) * 1.001, f = camera.focal * size, half = size / 2.0;
      Rectangle box = {-kNever, -kNever, kNever, kNever};
      if (z - r > 1e-3) {
        const auto low = [&](double v) { return half + f * std::min((v - r) / (z - r), (v - r) / (z + r)); };
        const auto high = [&](double v) { return half + f * std::max((v + r) / (z - r), (v + r) / (z + r)); };
        box = {low(x), low(y), high(x), high(y)};
      }
      boxes_.push_back(box);
    }
  }

  Ray ray(double x, double y) const { return scene_.camera.ray(x, y, size_); }

  Hit hit(const Ray& ray, double x, double y) const {
    Hit nearest = {kNever, kBackground};
    for (size_t i = 0; i < boxes_.size(); ++i) {
      const Rectangle& box = boxes_[i];
      if (x < box.left || x > box.right || y < box.top || y > box.bottom) continue;
      const double t = intersect(scene_.objects[i], ray);
      if (t < nearest.t) nearest = {t, static_cast<int>(i)};
    }
    // objects stand on the floor and before the backdrop
    if (nearest.object == kBackground) nearest.t = intersect_studio(scene_.backdrop, ray);
    return nearest;
  }

 private:
  struct Rectangle {
    double left, top, right, bottom;
  };
  const Scene& scene_;
  int size_;
  std::vector<Rectangle> boxes_;
};

Images labels(const Scene& scene, const View& view, int size) {
  const size_t pixels = static_cast<size_t>(size) * static_cast<size_t>(size);
  Images images;
  images.semseg.resize(pixels);
  images.instance.resize(pixels);
  images.depth.resize(pixels);
  images.objects.resize(scene.objects.size());
  size_t i = 0;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x, ++i) {
      const Hit hit = view.hit(view.ray(x + 0.5, y + 0.5), x + 0.5, y + 0.5);
      const double millimetres = std::floor(hit.t * 1000 + 0.5);
      images.depth[i] = millimetres <= 65535 ? static_cast<uint16_t>(millimetres) : 0;
      if (hit.object == kBackground) continue;
      const auto object = static_cast<size_t>(hit.object);
      images.instance[i] = static_cast<uint8_t>(hit.object + 1);
      images.semseg[i] = static_cast<uint8_t>(scene.objects[object].class_id());
      Coverage& c = images.objects[object];
      if (c.pixels++ == 0) c = {1, x, y, x + 1, y + 1};
      c.left = std::min(c.left, x);
      c.right = std::max(c.right, x + 1);
      c.bottom = y + 1;
    }
  }
  return images;
}

// Rays for a pixel, along each side: as many as what it shows needs. The floor is smooth, and so is rubber; metal
// mirrors edges; borders are told by the labels of the pixels around.
int grid_at(const Scene& scene, const std::vector<uint8_t>& instance, int x, int y, int size) {
  const auto id = [&](int u, int v) {
    const int column = std::clamp(u, 0, size - 1), row = std::clamp(v, 0, size - 1);
    return instance[static_cast<size_t>(row) * static_cast<size_t>(size) + static_cast<size_t>(column)];
  };
  const uint8_t here = id(x, y);
  for (int v = y - 1; v <= y + 1; ++v)
    for (int u = x - 1; u <= x + 1; ++u)
      if (id(u, v) != here) return 4;
  if (here == 0) return 1;
  return scene.objects[here - 1U].material == Material::kMetal ? 3 : 2;
}

}  // namespace

Images render_labels(const Scene& scene, int size) {
  return labels(scene, View(scene, size), size);
}

Images render(const Scene& scene, int size) {
  const View view(scene, size);
  const Shader shader(scene);
  Images images = labels(scene, view, size);
  images.rgb.reserve(images.instance.size() * 3);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const int grid = grid_at(scene, images.instance, x, y, size);
      Vec3 sum;
      for (int k = 0; k < grid * grid; ++k) {
        const int column = k % grid, row = k / grid;
        const double u = x + (column + 0.5) / grid, v = y + (row + 0.5) / grid;
        const Ray ray = view.ray(u, v);
        const Vec3 light = shader.radiance(ray, view.hit(ray, u, v));
        // clipped before the mean, as film is: a bright lamp in a mirror must not swallow the edge that it touches
        sum = sum + Vec3{std::min(light.x, 1.0), std::min(light.y, 1.0), std::min(light.z, 1.0)};
      }
      const Vec3 mean = sum * (1.0 / (grid * grid));
      for (const double channel : {mean.x, mean.y, mean.z}) images.rgb.push_back(srgb().encode(channel));
    }
  }
  return images;
}

std::vector<Images> render_all(const std::vector<Scene>& scenes, int size, bool labels_only, unsigned threads,
                               const std::atomic<bool>& cancel) {
  std::vector<Images> images(scenes.size());
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  ThreadPool pool(threads);
  pool.run([&](unsigned) {
    try {
      for (size_t i = next++; i < scenes.size() && !cancel && !failed; i = next++)
        images[i] = labels_only ? render_labels(scenes[i], size) : render(scenes[i], size);
    } catch (const std::bad_alloc&) {  // must not leave the thread
      failed = true;
    }
  });
  if (failed) throw std::bad_alloc();
  return images;
}

}  // namespace coregain::render
