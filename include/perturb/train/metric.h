// A number that describes a state. Measuring is not training: a metric reads the state and
// leaves it as it is, whenever and however often it is taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "perturb/train/dataset.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/task.h"

namespace perturb {

class SpareThreads;

/// A network in some state. Metrics may move its parameters (Moved) but put them back.
struct Subject {
  const FlatState& state;
  Task& task;             ///< whose models have that state
  const Tensor& initial;  ///< parameters at step 0, after operations at init
};

/// Gives a state other parameters for as long as it lives; then the exact former bits are back.
class Moved {
 public:
  explicit Moved(const FlatState& state);
  ~Moved();
  Moved(const Moved&) = delete;
  Moved& operator=(const Moved&) = delete;

  /// To these, laid out like the state's.
  void to(const Tensor& parameters, const Tensor& buffers) const;
  const Tensor& parameters() const { return parameters_; }  ///< the former ones
  const Tensor& buffers() const { return buffers_; }

 private:
  const FlatState& state_;
  Tensor parameters_;
  Tensor buffers_;
};

/// One state as metrics see it. Lives for one measurement.
class Observation {
 public:
  /// Makes what "init", or else the measurement's reference, stands for. Called when a metric asks.
  using Others = std::function<Subject(bool init)>;
  /// Makes another network like the observed one, whatever its state. Called in the thread that is
  /// to use it.
  using Copies = std::function<std::shared_ptr<const Subject>()>;
  /// `threads`: those that `spread` may use beside the calling one; none: null.
  Observation(Subject self, Others others, Copies copies, const Dataset& data,
              SpareThreads* threads = nullptr)
      : self_(self),
        others_(std::move(others)),
        copies_(std::move(copies)),
        data_(data),
        threads_(threads) {}

  const Subject& self() const { return self_; }
  const FlatState& state() const { return self_.state; }
  /// What a metric's parameter `to` names: the trial's own network at step 0, or the other trial's.
  Subject other(const std::string& to) const { return others_(to == "init"); }
  const Dataset& data() const { return data_; }
  /// "train" or "test"; the first `examples` of it, 0 meaning all.
  ExampleSet examples(const std::string& part, std::int64_t examples = 0) const;
  /// The same for who passes over them many times.
  const ExampleSet& finished(const std::string& part, std::int64_t examples = 0);
  /// Calls work(0), ..., work(jobs - 1), several at once where threads are spare. Each gets a
  /// network in the observed state, which it may move and must put back (Moved).
  void spread(std::size_t jobs,
              const std::function<void(std::size_t job, const Subject& network)>& work);
  /// The task's scores on "train" or "test": one pass over the examples, however many metrics
  /// ask for them.
  const Scores& scores(const std::string& part);
  /// What several metrics have in common, computed for the first that asks.
  const std::vector<double>& once(const std::string& name,
                                  const std::function<std::vector<double>()>& compute);

 private:
  Subject self_;
  Others others_;
  Copies copies_;
  const Dataset& data_;
  SpareThreads* threads_;
  std::map<std::pair<std::string, std::int64_t>, ExampleSet> finished_;
  std::map<std::string, Scores> scores_;
  std::map<std::string, std::vector<double>> computed_;
};

class Metric {
 public:
  virtual ~Metric() = default;
  virtual double measure(Observation& observed) = 0;
};

}  // namespace perturb
