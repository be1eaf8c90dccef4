// maximize(job) of lib/native.ts.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/addon.h"
#include "node/arguments.h"
#include "objectives/maximize.h"

namespace coregain::node {
namespace {

using objectives::Concave;
using objectives::Measure;
using objectives::Optimizer;
using objectives::Part;

struct MaximizeJob {
  explicit MaximizeJob(int32_t* words) : control(words) {}
  objectives::Task task;
  Control control;
  objectives::Maximum result;

  Napi::Value resolve(Napi::Env env) const {
    const Napi::Object out = Napi::Object::New(env);
    out.Set("rows", to_array<Napi::Int32Array>(env, result.rows));
    out.Set("gains", to_array<Napi::Float64Array>(env, result.gains));
    out.Set("value", result.value);
    out.Set("evaluations", static_cast<double>(result.evaluations));
    out.Set("threads", result.threads);
    out.Set("seconds", result.seconds);
    out.Set("simd", result.simd);
    return out;
  }
};

bool indices_below(const std::vector<int32_t>& values, size_t end) {
  for (const int32_t value : values)
    if (value < 0 || static_cast<size_t>(value) >= end) return false;
  return true;
}

Part part_of(const Napi::Object& from, size_t rows, size_t cols, std::vector<Napi::Value>& keep) {
  Part part;
  part.name = text(from, "name");
  part.weight = number(from, "weight", 1);
  if (text(from, "similarity") == "rbf") part.measure = Measure::kRbf;
  part.gamma = number(from, "gamma", 0);
  part.lambda = number(from, "lambda", 1);
  part.eta = number(from, "eta", 1);
  part.nu = number(from, "nu", 1);
  part.ridge = number(from, "ridge", 1);
  part.alpha = number(from, "alpha", 1);
  part.neighbours = static_cast<size_t>(number(from, "neighbours", 0));
  const std::string concave = text(from, "concave");
  part.concave = concave == "log" ? Concave::kLog : concave == "inverse" ? Concave::kInverse : Concave::kSqrt;
  part.examples = shared_matrix(from, "examples", static_cast<size_t>(number(from, "exampleRows", 0)), cols);
  if (part.examples.rows > 0) keep.push_back(from.Get("examples"));

  objectives::Entries& entries = part.entries;
  entries.offsets = int32s(from, "offsets");
  entries.indices = int32s(from, "indices");
  entries.values = float64s(from, "values");
  entries.weights = float64s(from, "weights");
  entries.rows = rows;
  entries.cols = entries.weights.size();
  bool sound = entries.offsets.empty() || (entries.offsets.size() == rows + 1 && entries.offsets.front() == 0);
  for (size_t i = 1; i < entries.offsets.size(); ++i) sound = sound && entries.offsets[i - 1] <= entries.offsets[i];
  if (sound && !entries.offsets.empty())
    sound = static_cast<size_t>(entries.offsets.back()) == entries.indices.size() &&
            entries.values.size() == entries.indices.size();
  if (!sound || !indices_below(entries.indices, entries.cols))
    throw Napi::RangeError::New(from.Env(), "The sparse rows of an objective contradict each other.");
  const bool over_columns =
      part.name == "set-cover" || part.name == "probabilistic-set-cover" || part.name == "feature-based";
  if (over_columns ? entries.offsets.empty() && (part.name != "feature-based" || cols == 0 || entries.cols != cols)
                   : cols == 0)
    throw Napi::RangeError::New(from.Env(), "The objective " + part.name + " lacks the rows that it reads.");
  return part;
}

Napi::Value start_maximize(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) throw Napi::TypeError::New(env, "maximize expects one object.");
  const auto job = info[0].As<Napi::Object>();
  const auto work = std::make_shared<MaximizeJob>(control_words(job));
  objectives::Task& task = work->task;
  std::vector<Napi::Value> keep = {job.Get("control")};
  task.rows = static_cast<size_t>(number(job, "rows", 0));
  task.x = shared_matrix(job, "data", task.rows, static_cast<size_t>(number(job, "cols", 0)));
  if (task.x.rows > 0) keep.push_back(job.Get("data"));
  const auto parts = job.Get("parts").As<Napi::Array>();
  for (uint32_t i = 0; i < parts.Length(); ++i) {
    task.parts.push_back(part_of(parts.Get(i).As<Napi::Object>(), task.rows, task.x.cols, keep));
    const Matrix& examples = task.parts.back().examples;
    if (examples.rows > 0 && examples.is_double != task.x.is_double)
      throw Napi::TypeError::New(env, "maximize: examples and data must be of one type.");
  }
  task.allowed = copy_of<Napi::Uint8Array, uint8_t>(job, "allowed", napi_uint8_array);
  task.initial = int32s(job, "initial");
  task.costs = float64s(job, "costs");
  if (task.rows < 1 || task.rows > INT32_MAX || parts.Length() == 0 || task.allowed.size() != task.rows ||
      !indices_below(task.initial, task.rows) || (!task.costs.empty() && task.costs.size() != task.rows))
    throw Napi::RangeError::New(env, "maximize: the arguments contradict each other.");
  const std::string optimizer = text(job, "optimizer");
  if (optimizer == "lazy") task.optimizer = Optimizer::kLazy;
  if (optimizer == "stochastic") task.optimizer = Optimizer::kStochastic;
  if (optimizer == "bidirectional") task.optimizer = Optimizer::kBidirectional;
  task.budget = static_cast<size_t>(number(job, "budget", 0));
  task.max_cost = number(job, "maxCost", 0);
  task.seed = static_cast<uint64_t>(number(job, "seed", 0));
  task.epsilon = number(job, "epsilon", 0.1);
  task.threads = static_cast<unsigned>(number(job, "threads", 0));
  task.simd = text(job, "simd");
  return jobs.start(env, {
                             .run = [work] { work->result = objectives::maximize(work->task, work->control); },
                             .resolve = [work](Napi::Env e) { return work->resolve(e); },
                             .cancel = [work] { work->control.cancel(); },
                             .keep = std::move(keep),
                         });
}

}  // namespace

void register_objectives(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  exports.Set("maximize",
              Napi::Function::New(
                  env, [&jobs](const Napi::CallbackInfo& info) { return start_maximize(info, jobs); }, "maximize"));
}

}  // namespace coregain::node
