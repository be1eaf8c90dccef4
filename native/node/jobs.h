// Work off the JavaScript thread: each job has a thread of its own (libuv's pool stays free for files and DNS) and
// settles a promise.
#pragma once

#include <napi.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"

namespace coregain::node {

// What a job throws to reject its promise: an Error with `code` (and `row`, where it is not negative).
using JobError = Error;

struct JobWork {
  std::function<void()> run;                      // on the job's thread; may throw JobError
  std::function<Napi::Value(Napi::Env)> resolve;  // on the JavaScript thread, after run returned
  std::function<void()> cancel;                   // makes run return soon; called when the environment goes away
  std::vector<Napi::Value> keep;                  // kept alive until the job has ended; undefined is nothing
};

// The running jobs of one environment (main thread or worker). Before the environment goes away, `shutdown` cancels and
// joins them: worker.terminate() with work in flight must not leave a thread that reads freed memory.
class Jobs {
 public:
  Jobs();
  ~Jobs();
  Napi::Promise start(Napi::Env env, JobWork work);
  void shutdown();

 private:
  struct Job;
  void finish(Job* job);
  std::list<std::unique_ptr<Job>> running_;
};

}  // namespace coregain::node
