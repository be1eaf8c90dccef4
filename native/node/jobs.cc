#include "node/jobs.h"

#include <atomic>
#include <exception>
#include <new>
#include <optional>
#include <utility>

namespace coregain::node {

struct Jobs::Job {
  explicit Job(Napi::Env env, JobWork w) : work(std::move(w)), deferred(Napi::Promise::Deferred::New(env)) {}
  JobWork work;
  Napi::Promise::Deferred deferred;
  std::vector<Napi::Reference<Napi::Value>> kept;
  Napi::ThreadSafeFunction settle;
  std::thread thread;
  std::optional<JobError> error;
  std::atomic<bool> ended{false};

  void run() {
    try {
      work.run();
    } catch (const JobError& e) {
      error = e;
    } catch (const std::bad_alloc&) {
      error.emplace("ERR_OUT_OF_MEMORY",
                    "The native engine could not get the memory that it needs. Use fewer rows or columns.");
    } catch (const std::exception& e) {
      error.emplace("ERR_NATIVE", e.what());
    }
    ended = true;
    // closing: the environment is going away and nobody waits for the result
    if (settle.BlockingCall([this](Napi::Env env, Napi::Function) { settle_promise(env); }) == napi_ok)
      settle.Release();
  }

  void settle_promise(Napi::Env env) {
    if (static_cast<napi_env>(env) == nullptr) return;
    const Napi::HandleScope scope(env);
    if (!error) {
      deferred.Resolve(work.resolve(env));
      return;
    }
    const Napi::Object object = Napi::Error::New(env, error->what()).Value();
    object.Set("code", error->code);
    if (error->row >= 0) object.Set("row", static_cast<double>(error->row));
    deferred.Reject(object);
  }
};

Jobs::Jobs() = default;
Jobs::~Jobs() = default;

Napi::Promise Jobs::start(Napi::Env env, JobWork work) {
  Job* job = running_.emplace_back(std::make_unique<Job>(env, std::move(work))).get();
  for (const Napi::Value& value : job->work.keep)
    if (!value.IsUndefined()) job->kept.push_back(Napi::Reference<Napi::Value>::New(value, 1));
  job->work.keep.clear();
  job->settle =
      Napi::ThreadSafeFunction::New(env, Napi::Function(), "coregain", 0, 1, [this, job](Napi::Env) { finish(job); });
  const Napi::Promise promise = job->deferred.Promise();
  job->thread = std::thread([job] { job->run(); });
  return promise;
}

void Jobs::finish(Job* job) {
  if (job->thread.joinable()) {
    if (!job->ended) job->work.cancel();
    job->thread.join();
  }
  running_.remove_if([job](const std::unique_ptr<Job>& j) { return j.get() == job; });
}

void Jobs::shutdown() {
  for (const auto& job : running_) job->work.cancel();
  for (const auto& job : running_)
    if (job->thread.joinable()) job->thread.join();
}

}  // namespace coregain::node
