// Scores of a network whose weights carry noise.
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/metrics.h"
#include "builtin/weight_noise.h"
#include "perturb/core/random.h"

namespace perturb {
namespace {

/// One of the task's scores, averaged over draws of noise. Every draw is addressed by its number
/// and a tensor's name, so that all strengths see the same noise, scaled.
class NoisyScore final : public Metric {
 public:
  NoisyScore(std::size_t score, const Parameters& parameters)
      : score_(score),
        strength_(parameters.at("strength").as_float()),
        draws_(static_cast<std::size_t>(parameters.at("draws").as_int())),
        unit_(noise_unit(parameters.at("relative_to").as_string())),
        layers_(parameters.at("layers").as_string()),
        on_(parameters.at("on").as_string()),
        examples_(parameters.at("examples").as_int()),
        seed_(static_cast<std::uint64_t>(parameters.at("seed").as_int())) {
    for (const auto& [name, value] : parameters) address_ += name + "=" + canonical(value) + ",";
  }

  double measure(Observation& observed) override {
    const auto& scores = observed.once("noisy/" + address_, [&] { return averages(observed); });
    return scores[score_];
  }

  static constexpr std::size_t kLoss = 0;
  static constexpr std::size_t kAccuracy = 1;

 private:
  std::vector<double> averages(Observation& observed) const {
    if (strength_ == 0) {
      if (examples_ == 0) return both(observed.scores(on_));
      return both(observed.self().task.evaluate(observed.finished(on_, examples_)));
    }
    const auto& examples = observed.finished(on_, examples_);
    std::vector<Scores> drawn(draws_);
    observed.spread(draws_, [&](std::size_t draw, const Subject& network) {
      const at::NoGradGuard no_gradients;
      const Moved moved(network.state);
      add_weight_noise(network.state, layers_, strength_, unit_, [&](const std::string& name) {
        return Random(seed_, "noisy-score/" + name, draw);
      });
      drawn[draw] = network.task.evaluate(examples);
    });
    // In the order of their numbers, whichever thread they came from.
    std::vector<double> sums = {0, 0};
    for (const auto& one : drawn) {
      const auto scores = both(one);
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += scores[i];
    }
    for (auto& sum : sums) sum /= static_cast<double>(draws_);
    return sums;
  }

  static std::vector<double> both(const Scores& scores) {
    return {scores.at("loss"), scores.at("accuracy")};
  }

  std::size_t score_;
  double strength_;
  std::size_t draws_;
  NoiseUnit unit_;
  std::string layers_;
  std::string on_;
  std::int64_t examples_;
  std::uint64_t seed_;
  std::string address_;
};

MetricFactory noisy(std::size_t score) {
  return [score](const Parameters& parameters) {
    return std::make_unique<NoisyScore>(score, parameters);
  };
}

}  // namespace

void add_noise_metrics(Registries& registries) {
  registries.metrics.add("noisy-loss", noisy(NoisyScore::kLoss));
  registries.metrics.add("noisy-accuracy", noisy(NoisyScore::kAccuracy));
}

}  // namespace perturb
