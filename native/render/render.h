// Pictures and labels of scenes.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "render/scene.h"

namespace coregain::render {

// What one object covers in the label images. The box is half open; all zero where nothing is visible.
struct Coverage {
  int pixels = 0;
  int left = 0, top = 0, right = 0, bottom = 0;
};

// Row-major images of size x size. The labels all come from the same ray through the centre of each pixel.
struct Images {
  std::vector<uint8_t> rgb;       // 3 per pixel, sRGB, anti-aliased; empty when only labels were asked for
  std::vector<uint8_t> semseg;    // Object::class_id, 0 = background
  std::vector<uint8_t> instance;  // 1 + index of the object, 0 = background
  std::vector<uint16_t> depth;    // along the camera's axis, millimetres; 0 = nothing within 65.535 m
  std::vector<Coverage> objects;
};

Images render_labels(const Scene& scene, int size);
Images render(const Scene& scene, int size);

// All scenes, each on one of `threads` threads (0 = all); the result does not depend on their number. Stops early, with
// images missing, once `cancel` is set.
std::vector<Images> render_all(const std::vector<Scene>& scenes, int size, bool labels_only, unsigned threads,
                               const std::atomic<bool>& cancel);

}  // namespace coregain::render
