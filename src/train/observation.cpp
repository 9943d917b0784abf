#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "perturb/core/error.h"
#include "perturb/train/metric.h"
#include "perturb/train/spare_threads.h"

namespace perturb {
namespace {

/// Of examples that are kept as floats for as long as a measurement takes.
constexpr std::int64_t kMostFinishedBytes = std::int64_t{256} << 20;

/// Threads taken for as long as this lives.
class Taken {
 public:
  Taken(SpareThreads* from, std::size_t most) : from_(from), count_(from ? from->take(most) : 0) {}
  ~Taken() {
    if (from_) from_->give_back(count_);
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;
  std::size_t count() const { return count_; }

 private:
  SpareThreads* from_;
  std::size_t count_;
};

}  // namespace

Tensor Task::loss(const Examples&, Pass&) {
  throw Error(ExitCode::Bug, "the task has no loss of parameters and examples alone");
}

Tensor Task::outputs(const Tensor&, Pass&) {
  throw Error(ExitCode::Bug, "the task predicts no classes");
}

Moved::Moved(const FlatState& state)
    : state_(state), parameters_(state.parameters().clone()), buffers_(state.buffers().clone()) {}

Moved::~Moved() { to(parameters_, buffers_); }

void Moved::to(const Tensor& parameters, const Tensor& buffers) const {
  const at::NoGradGuard no_gradients;
  state_.parameters().copy_(parameters);
  state_.buffers().copy_(buffers);
}

ExampleSet Observation::examples(const std::string& part, std::int64_t examples) const {
  if (part != "train" && part != "test") throw Error(ExitCode::Bug, "there is no part " + part);
  const auto& all = part == "train" ? data_.train : data_.test;
  return examples > 0 && examples < all.size() ? all.first(examples) : all;
}

const ExampleSet& Observation::finished(const std::string& part, std::int64_t examples) {
  const std::pair key(part, examples);
  if (const auto found = finished_.find(key); found != finished_.end()) return found->second;
  return finished_.emplace(key, this->examples(part, examples).finished(kMostFinishedBytes))
      .first->second;
}

void Observation::spread(std::size_t jobs,
                         const std::function<void(std::size_t job, const Subject& network)>& work) {
  const Taken taken(threads_, jobs > 0 ? jobs - 1 : 0);
  const auto parameters = self_.state.parameters().clone();
  const auto buffers = self_.state.buffers().clone();
  const int intra_op = at::get_num_threads();
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto go = [&](const std::function<std::shared_ptr<const Subject>()>& make) {
    try {
      const auto network = make();
      for (std::size_t job = next++; job < jobs; job = next++) work(job, *network);
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = jobs;
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < taken.count(); ++i) {
    threads.emplace_back([&] {
      at::set_num_threads(intra_op);  // OpenMP keeps it per thread
      go([&] {
        auto network = copies_();
        network->state.parameters().copy_(parameters);
        network->state.buffers().copy_(buffers);
        return network;
      });
    });
  }
  go([this] { return std::shared_ptr<const Subject>(std::shared_ptr<void>(), &self_); });
  threads.clear();
  if (failure) std::rethrow_exception(failure);
}

const Scores& Observation::scores(const std::string& part) {
  if (const auto found = scores_.find(part); found != scores_.end()) return found->second;
  return scores_.emplace(part, self_.task.evaluate(examples(part))).first->second;
}

const std::vector<double>& Observation::once(const std::string& name,
                                             const std::function<std::vector<double>()>& compute) {
  if (const auto found = computed_.find(name); found != computed_.end()) return found->second;
  return computed_.emplace(name, compute()).first->second;
}

}  // namespace perturb
