// adamStep(job) of lib/native.ts: called in the thread that trains, and done when it returns.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/thread_pool.h"
#include "node/addon.h"
#include "node/arguments.h"
#include "train/adam.h"

namespace coregain::node {
namespace {

// A piece that one thread takes at a time, and the size below which one thread does everything sooner.
constexpr size_t kBlock = 1 << 16;
constexpr size_t kWorthThreads = 1 << 20;

struct Piece {
  size_t tensor;
  size_t begin;
  size_t end;
};

std::vector<Napi::Float32Array> arrays(const Napi::Object& job, const char* name) {
  const Napi::Value value = job.Get(name);
  if (!value.IsArray()) throw Napi::TypeError::New(job.Env(), std::string("`") + name + "` must be a list.");
  const auto list = value.As<Napi::Array>();
  std::vector<Napi::Float32Array> found(list.Length());
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value item = list.Get(i);
    if (type_of(item) != napi_float32_array)
      throw Napi::TypeError::New(job.Env(), std::string("`") + name + "` must have Float32Arrays.");
    found[i] = item.As<Napi::Float32Array>();
  }
  return found;
}

Napi::Value adam_step(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) throw Napi::TypeError::New(env, "adamStep expects one object.");
  const auto job = info[0].As<Napi::Object>();
  auto values = arrays(job, "values");
  auto gradients = arrays(job, "gradients");
  auto first = arrays(job, "first");
  auto second = arrays(job, "second");
  const std::vector<double> rates = float64s(job, "rates");
  const std::vector<double> decays = float64s(job, "decays");
  const size_t count = values.size();
  bool sound = gradients.size() == count && first.size() == count && second.size() == count && rates.size() == count &&
               decays.size() == count;
  for (size_t i = 0; sound && i < count; ++i) {
    const size_t size = values[i].ElementLength();
    sound =
        gradients[i].ElementLength() == size && first[i].ElementLength() == size && second[i].ElementLength() == size;
  }
  if (!sound) throw Napi::RangeError::New(env, "adamStep: the lists contradict each other.");

  const double beta1 = number(job, "beta1", 0.9);
  const double beta2 = number(job, "beta2", 0.999);
  const double time = number(job, "step", 1);
  train::AdamStep common;
  common.beta1 = static_cast<float>(beta1);
  common.beta2 = static_cast<float>(beta2);
  common.epsilon = static_cast<float>(number(job, "epsilon", 1e-8));
  common.decoupled = job.Get("decoupled").ToBoolean();
  common.correction1 = 1 - std::pow(beta1, time);
  common.root_correction2 = std::sqrt(1 - std::pow(beta2, time));

  std::vector<train::AdamTensor> tensors;
  std::vector<train::AdamStep> steps;
  std::vector<Piece> pieces;
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t size = values[i].ElementLength();
    tensors.push_back({values[i].Data(), gradients[i].Data(), first[i].Data(), second[i].Data(), size});
    steps.push_back(common);
    steps.back().learning_rate = static_cast<float>(rates[i]);
    steps.back().weight_decay = static_cast<float>(decays[i]);
    for (size_t begin = 0; begin < size; begin += kBlock) pieces.push_back({i, begin, std::min(begin + kBlock, size)});
    total += size;
  }
  ThreadPool pool(total < kWorthThreads ? 1 : static_cast<unsigned>(number(job, "threads", 0)));
  pool.for_blocks(pieces.size(), 1, [&](unsigned, size_t from, size_t to) {
    for (size_t k = from; k < to; ++k) {
      const Piece& piece = pieces[k];
      train::adam(tensors[piece.tensor], steps[piece.tensor], piece.begin, piece.end);
    }
  });
  return env.Undefined();
}

}  // namespace

void register_train(Napi::Env env, Napi::Object exports) {
  exports.Set("adamStep", Napi::Function::New(env, adam_step, "adamStep"));
}

}  // namespace coregain::node
