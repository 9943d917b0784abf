// One entry of a parameter by itself: what it is, and what the loss would be if it were another.
#include <string>

#include <ATen/ATen.h>

#include "builtin/metrics.h"
#include "perturb/core/error.h"
#include "perturb/core/name_pattern.h"

namespace perturb {
namespace {

class Entry {
 public:
  explicit Entry(const Parameters& parameters)
      : name_(parameters.at("name").as_string()), index_(parameters.at("index").as_int()) {}

  /// Where it lies in the flat vector: of the first parameter whose name matches.
  std::int64_t place(const FlatState& state) const {
    for (const auto& slice : state.layout()) {
      if (!matches(name_, slice.name)) continue;
      if (index_ < slice.size) return slice.offset + index_;
      throw Error(ExitCode::Usage, "index = " + std::to_string(index_) +
                                       " is too large: " + slice.name + " has " +
                                       std::to_string(slice.size) + " entries");
    }
    throw Error(ExitCode::Usage, "no parameter of the model matches name = \"" + name_ + "\"");
  }

 private:
  std::string name_;
  std::int64_t index_;
};

class ParameterValue final : public Metric {
 public:
  explicit ParameterValue(const Parameters& parameters) : entry_(parameters) {}

  double measure(Observation& observed) override {
    const auto& state = observed.state();
    return state.parameters()[entry_.place(state)].item<double>();
  }

 private:
  Entry entry_;
};

class LossAt final : public Metric {
 public:
  explicit LossAt(const Parameters& parameters)
      : entry_(parameters),
        value_(parameters.at("value").as_float()),
        on_(parameters.at("on").as_string()) {}

  double measure(Observation& observed) override {
    const auto& state = observed.state();
    const Moved moved(state);
    auto parameters = moved.parameters().clone();
    parameters[entry_.place(state)] = value_;
    moved.to(parameters, moved.buffers());
    return observed.self().task.evaluate(observed.examples(on_)).at("loss");
  }

 private:
  Entry entry_;
  double value_;
  std::string on_;
};

}  // namespace

void add_parameter_metrics(Registries& registries) {
  registries.metrics.add("parameter", measured<ParameterValue>());
  registries.metrics.add("loss-at", measured<LossAt>());
}

}  // namespace perturb
