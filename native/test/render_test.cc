#include "render/render.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <string>

#include "render/shapes.h"
#include "test/check.h"

using namespace coregain::render;

namespace {

constexpr int kSize = 96;

size_t pixel(int x, int y) {
  return static_cast<size_t>(y) * kSize + static_cast<size_t>(x);
}

Object object(Shape shape, Vec3 center, double scale, double angle = 0, Material material = Material::kRubber) {
  return {shape, material, center, scale, std::cos(angle), std::sin(angle), {0.5, 0.4, 0.3}};
}

// CLEVR's camera, looking at the origin, or any other place.
Camera camera(Vec3 location = {7.48113, -6.50764, 5.34367}) {
  const Vec3 back = normalize(location);
  const Vec3 right = normalize(cross({0, 0, 1}, back));
  return {right, cross(back, right), back, location, 245.0 / 224};
}

Scene scene(std::vector<Object> objects, Camera c = camera()) {
  return {c,
          {{{6.44671, -2.90517, 4.25840}, {-1.16850, 2.64602, 5.81574}, {-4.67112, -4.01360, 3.01122}}},
          {-0.904, 0.4275, 0},
          std::move(objects)};
}

// A full house: every shape and material, some behind others.
Scene busy() {
  return scene({object(Shape::kCube, {1.5, -1, 0.7}, 0.7, 0.4, Material::kMetal),
                object(Shape::kSphere, {-0.5, 0.6, 0.7}, 0.7),
                object(Shape::kSphere, {0.4, -2.2, 0.35}, 0.35, 0, Material::kMetal),
                object(Shape::kCylinder, {-1.5, -1.5, 0.7}, 0.7),
                object(Shape::kCylinder, {2.4, 1.5, 0.35}, 0.35, 0, Material::kMetal),
                object(Shape::kCube, {-2, 1.8, 0.35}, 0.35, 1.1)});
}

bool close(double a, double b, double tolerance = 1e-6) {
  return std::abs(a - b) <= tolerance;
}

bool same(const Images& a, const Images& b) {
  return a.rgb == b.rgb && a.semseg == b.semseg && a.instance == b.instance && a.depth == b.depth;
}

// Numbers in [0, 1) for tests that try many rays.
struct Random {
  uint64_t state = 88172645463325252ULL;
  double next() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<double>(state >> 11) * 0x1p-53;
  }
  double in(double low, double high) { return low + (high - low) * next(); }
};

}  // namespace

TEST("a ray meets a sphere where the closed form says") {
  const Object ball = object(Shape::kSphere, {1, 2, 3}, 0.5);
  EXPECT(close(intersect(ball, {{1, 2, 10}, {0, 0, -1}}), 6.5));
  // half a radius beside the centre: the chord starts sqrt(3)/2 radii before it
  EXPECT(close(intersect(ball, {{1.25, 2, 10}, {0, 0, -1}}), 7 - 0.5 * std::sqrt(0.75)));
  EXPECT(intersect(ball, {{1.6, 2, 10}, {0, 0, -1}}) == kNever);
  EXPECT(intersect(ball, {{1, 2, 10}, {0, 0, 1}}) == kNever);
  // t counts in lengths of the direction
  EXPECT(close(intersect(ball, {{1, 2, 10}, {0, 0, -2}}), 3.25));
}

TEST("a ray meets the flat faces of a turned cube and the mantle and lids of a cylinder") {
  const double angle = 0.5;
  const Object cube = object(Shape::kCube, {0, 0, 0.7}, 0.7, angle);
  const Vec3 face = {std::cos(angle), std::sin(angle), 0};
  EXPECT(close(intersect(cube, {Vec3{0, 0, 0.7} + face * 5, face * -1}), 4.3));
  EXPECT(close(intersect(cube, {{0.1, 0.2, 5}, {0, 0, -1}}), 5 - 1.4));
  const Object can = object(Shape::kCylinder, {0, 0, 0.35}, 0.35);
  EXPECT(close(intersect(can, {{0.1, -0.1, 5}, {0, 0, -1}}), 5 - 0.7));
  EXPECT(close(intersect(can, {{0, -5, 0.4}, {0, 1, 0}}), 5 - 0.35));
  EXPECT(close(intersect(can, {{0.2, -5, 0.4}, {0, 1, 0}}), 5 - std::sqrt(0.35 * 0.35 - 0.04)));
  EXPECT(intersect(can, {{0.36, -5, 0.4}, {0, 1, 0}}) == kNever);
}

TEST(
    "edges are rounded: a ray into the corner of a cube misses it, and one further in meets it under the sharp "
    "corner") {
  const Object cube = object(Shape::kCube, {0, 0, 0}, 1);
  const Vec3 diagonal = normalize(Vec3{1, 1, 1});
  EXPECT(intersect(cube, {{0.99, 0.99, 5}, {0, 0, -1}}) == kNever);
  // along the diagonal the surface is the corner's ball, radius 0.14 about (0.86, 0.86, 0.86)
  EXPECT(close(intersect(cube, {diagonal * 5, diagonal * -1}), 5 - (0.86 * std::sqrt(3.0) + 0.14), 1e-5));
}

TEST("normals have length 1, point outwards and are those of the face away from edges") {
  Random random;
  for (const Shape shape : {Shape::kCube, Shape::kSphere, Shape::kCylinder}) {
    const Object o = object(shape, {0.3, -0.2, 0.7}, 0.7, 0.9);
    int hits = 0;
    for (int i = 0; i < 2000; ++i) {
      const Vec3 from = normalize(Vec3{random.in(-1, 1), random.in(-1, 1), random.in(-1, 1)}) * 6;
      const Vec3 to = o.center + Vec3{random.in(-1, 1), random.in(-1, 1), random.in(-1, 1)};
      const Ray ray = {from, to - from};
      const double t = intersect(o, ray);
      if (t == kNever) continue;
      ++hits;
      const Vec3 n = normal_at(o, at(ray, t));
      EXPECT(close(length(n), 1));
      EXPECT(dot(n, ray.direction) < 1e-3);
      // what is hit is in between, and behind the eye nothing is
      EXPECT(between(shape, to_local(o, from), to_local(o, at(ray, t + 1e-4))));
      EXPECT(!between(shape, to_local(o, from), to_local(o, from * 2)));
    }
    EXPECT(hits > 500);
  }
  const Vec3 top = normal_at(object(Shape::kCube, {0, 0, 0.7}, 0.7, 0.3), {0.1, 0.1, 1.4});
  EXPECT(close(top.z, 1));
}

TEST("the studio is a floor at z = 0 that rises smoothly and that no ray from inside slips through") {
  const Vec3 backdrop = {-0.904, 0.4275, 0};
  EXPECT(close(intersect_studio(backdrop, {{2, -1, 4}, {0, 0, -1}}), 4));
  Random random;
  for (int i = 0; i < 5000; ++i) {
    const Vec3 eye = {random.in(4, 8), random.in(-8, -4), random.in(1, 7)};
    const Ray ray = {eye, Vec3{-13, 6, 0} + Vec3{random.in(-9, 9), random.in(-9, 9), random.in(-2, 8)} - eye};
    const double t = intersect_studio(backdrop, ray);
    EXPECT(t > 0 && t < kNever);
    EXPECT(at(ray, t).z >= -1e-9);
    EXPECT(dot(studio_normal(backdrop, at(ray, t)), ray.direction) < 0);
  }
}

TEST("depth is planar: straight above a sphere, a cube and the floor it is known in closed form") {
  // looks straight down from 10 m; pixel centres lie beside the axis by half a pixel
  const Camera down = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 0, 10}, 245.0 / 224};
  const Images images = render_labels(
      scene({object(Shape::kSphere, {0, 0, 0.7}, 0.7), object(Shape::kCube, {2, 0, 0.7}, 0.7)}, down), kSize);
  const double f = 245.0 / 224 * kSize;
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      const size_t i = pixel(x, y);
      const double u = (x + 0.5 - kSize / 2.0) / f, v = (kSize / 2.0 - y - 0.5) / f;
      double expected = -1;
      if (images.instance[i] == 0 && 10 * u * -0.904 + 10 * v * 0.4275 < 2) expected = 10;
      if (images.instance[i] == 2 && std::abs(u * 8.6 - 2) < 0.6 && std::abs(v * 8.6) < 0.6) expected = 8.6;
      if (images.instance[i] == 1) {
        // |(u, v, -1) t - (0, 0, -9.3)| = 0.7
        const double a = u * u + v * v + 1, b = -9.3, c = 9.3 * 9.3 - 0.49;
        expected = (-b - std::sqrt(b * b - a * c)) / a;
      }
      if (expected >= 0) EXPECT(close(images.depth[i] / 1000.0, expected, 0.00051));
    }
  }
  EXPECT(images.objects[0].pixels > 150 && images.objects[1].pixels > 150);
}

TEST("class = class of the instance in every pixel, and coverage counts what is there") {
  const Scene s = busy();
  const Images images = render_labels(s, kSize);
  std::vector<Coverage> found(s.objects.size());
  for (size_t i = 0; i < images.instance.size(); ++i) {
    const int id = images.instance[i];
    EXPECT(id <= static_cast<int>(s.objects.size()));
    EXPECT(images.semseg[i] == (id == 0 ? 0 : s.objects[static_cast<size_t>(id - 1)].class_id()));
    EXPECT(images.depth[i] > 0);
    if (id == 0) continue;
    Coverage& c = found[static_cast<size_t>(id - 1)];
    const int x = static_cast<int>(i) % kSize, y = static_cast<int>(i) / kSize;
    if (c.pixels++ == 0) c.left = x, c.top = y;
    c.left = std::min(c.left, x), c.right = std::max(c.right, x + 1), c.bottom = y + 1;
  }
  for (size_t k = 0; k < found.size(); ++k) {
    const Coverage &a = found[k], &b = images.objects[k];
    EXPECT(a.pixels > 0);
    EXPECT(a.pixels == b.pixels && a.left == b.left && a.top == b.top && a.right == b.right && a.bottom == b.bottom);
  }
}

TEST("only what an object hides is not seen: the nearest of all shapes wins, whatever their order") {
  Scene s = busy();
  const Images images = render_labels(s, kSize);
  std::reverse(s.objects.begin(), s.objects.end());
  const Images reversed = render_labels(s, kSize);
  EXPECT(images.semseg == reversed.semseg);
  EXPECT(images.depth == reversed.depth);
  size_t wrong = 0;
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      const Ray ray = busy().camera.ray(x + 0.5, y + 0.5, kSize);
      double nearest = intersect_studio(s.backdrop, ray);
      int id = 0;
      for (size_t k = 0; k < s.objects.size(); ++k) {
        const double t = intersect(s.objects[k], ray);
        if (t < nearest) nearest = t, id = static_cast<int>(k) + 1;
      }
      wrong += reversed.instance[pixel(x, y)] != id;
    }
  }
  EXPECT(wrong == 0);  // the rectangles that rule objects out never cut one off
}

TEST("labels of a picture are those without the picture; images do not depend on the number of threads") {
  std::vector<Scene> scenes;
  for (int i = 0; i < 7; ++i) {
    scenes.push_back(busy());
    scenes.back().camera = camera({7.4 + 0.1 * i, -6.5, 5.3});
  }
  const std::atomic<bool> go{false};
  const std::vector<Images> one = render_all(scenes, 48, false, 1, go);
  const std::vector<Images> three = render_all(scenes, 48, false, 3, go);
  for (size_t i = 0; i < scenes.size(); ++i) {
    EXPECT(one[i].rgb.size() == size_t{48} * 48 * 3);
    EXPECT(same(one[i], three[i]));
    const Images labels = render_labels(scenes[i], 48);
    EXPECT(labels.rgb.empty() && labels.instance == one[i].instance && labels.depth == one[i].depth);
  }
  EXPECT(!same(one[0], one[6]));
}

TEST("objects cast shadows and floors without them are smooth") {
  const Images empty = render(scene({}), kSize);
  const Images ball = render(scene({object(Shape::kSphere, {0, 0, 0.7}, 0.7)}), kSize);
  int darker = 0, lighter = 0, jumps = 0;
  for (size_t i = 0; i < ball.instance.size(); ++i) {
    if (i % kSize != 0) jumps += std::abs(empty.rgb[3 * i] - empty.rgb[3 * i - 3]) > 4;
    if (ball.instance[i] != 0) continue;
    const int change = ball.rgb[3 * i] - empty.rgb[3 * i];
    darker += change < -5;
    lighter += change > 8;
  }
  EXPECT(darker > 100);
  EXPECT(lighter < 40);
  EXPECT(jumps == 0);
}

TEST("a cancelled job stops without images") {
  const std::atomic<bool> stop{true};
  const std::vector<Images> none = render_all({busy(), busy()}, kSize, false, 2, stop);
  EXPECT(none.size() == 2 && none[0].rgb.empty() && none[1].instance.empty());
}

TEST("numbers that are no scene are refused") {
  std::vector<double> v(24 + 11, 1.0);
  EXPECT(Scene::unpack(v.data(), v.size()).objects.size() == 1);
  EXPECT_THROWS(Scene::unpack(v.data(), v.size() - 1));
  v[24] = 3;
  EXPECT_THROWS(Scene::unpack(v.data(), v.size()));
  v[24] = 0, v[3] = NAN;
  EXPECT_THROWS(Scene::unpack(v.data(), v.size()));
}

TEST_MAIN()
