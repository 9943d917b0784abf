// Generated points and histograms that distributions are fitted to. Every point is drawn from the
// data's own seed.
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/builtins.h"
#include "perturb/core/random.h"
#include "perturb/train/dataset.h"
#include "perturb/train/draw.h"

namespace perturb {
namespace {

using Folders = std::vector<std::filesystem::path>;

std::vector<float> numbers(const Condition& condition, const std::string& path) {
  std::vector<float> all;
  for (const auto& value : condition.at(path).as_list())
    all.push_back(static_cast<float>(value.as_float()));
  return all;
}

/// Normal clouds of points.
struct Clouds {
  Tensor centres;  ///< (k, d)
  double spread;   ///< standard deviation along every axis
};

/// Point i is of cloud labels[i].
ExampleSet points(const Clouds& clouds, const Tensor& labels, std::uint64_t seed,
                  const std::string& purpose) {
  Random random(seed, "data/" + purpose);
  const auto noise = draw_normal(random, {labels.numel(), clouds.centres.size(1)});
  return {clouds.centres.index_select(0, labels) + noise * clouds.spread, labels};
}

std::uint64_t data_seed(const Condition& condition) {
  return static_cast<std::uint64_t>(condition.integer("data.seed"));
}

DataShape shape_of(const Clouds& clouds) {
  return {.input = {clouds.centres.size(1)}, .classes = clouds.centres.size(0)};
}

/// Clouds take turns, so that sizes differ by one at most.
Dataset in_turns(const Clouds& clouds, const Condition& condition) {
  const auto part = [&](const std::string& purpose, std::int64_t count) {
    const auto labels = at::arange(count, at::kLong).remainder(clouds.centres.size(0));
    return points(clouds, labels, data_seed(condition), purpose);
  };
  return {.shape = shape_of(clouds),
          .train = part("train", condition.integer("data.examples")),
          .test = part("test", condition.integer("data.test_examples"))};
}

Dataset make_four_gaussians(const Condition& condition, const Folders&) {
  const auto shift = at::tensor(numbers(condition, "data.shift"), at::kFloat);
  const auto directions = at::tensor({1.F, 0.F, -1.F, 0.F, 0.F, 1.F, 0.F, -1.F}).view({4, 2});
  return in_turns(
      {directions * condition.number("data.radius") + shift, condition.number("data.spread")},
      condition);
}

Dataset make_evidence(const Condition& condition, const Folders&) {
  const auto domains = condition.integer("data.domains");
  const auto angles =
      at::arange(domains, at::kDouble) * (2 * std::numbers::pi / static_cast<double>(domains));
  const auto centres = at::stack({angles.cos(), angles.sin()}, 1) * condition.number("data.radius");
  const Clouds clouds = {centres.to(at::kFloat), condition.number("data.spread")};
  const auto part = [&](const std::string& purpose, std::int64_t each) {
    const auto labels = at::arange(domains * each, at::kLong).div(each, "floor");
    return points(clouds, labels, data_seed(condition), purpose);
  };
  return {.shape = shape_of(clouds),
          .train = part("train", condition.integer("data.points")),
          .test = part("test", condition.integer("data.test_points"))};
}

Dataset make_mixture(const Condition& condition, const Folders&) {
  const auto features = condition.integer("data.features");
  const Clouds clouds = {
      at::tensor(numbers(condition, "data.centres"), at::kFloat).view({-1, features}),
      condition.number("data.spread")};
  auto shares = numbers(condition, "data.shares");
  const auto k = static_cast<std::size_t>(clouds.centres.size(0));
  if (shares.empty()) shares.assign(k, 1);
  double total = 0;
  for (const float share : shares) total += share;
  const auto part = [&](const std::string& purpose, std::int64_t count) {
    Random random(data_seed(condition), "data/clouds/" + purpose);
    auto labels = at::empty({count}, at::kLong);
    auto label = labels.accessor<std::int64_t, 1>();
    for (std::int64_t i = 0; i < count; ++i) {
      double left = random.uniform() * total;
      std::size_t cloud = 0;
      while (cloud + 1 < k && left >= shares[cloud]) left -= shares[cloud++];
      label[i] = static_cast<std::int64_t>(cloud);
    }
    return points(clouds, labels, data_seed(condition), purpose);
  };
  return {.shape = shape_of(clouds),
          .train = part("train", condition.integer("data.examples")),
          .test = part("test", condition.integer("data.test_examples"))};
}

/// One example, which is the histogram, to train and to test on.
Dataset make_histogram(const Condition& condition, const Folders&) {
  const auto masses = at::tensor(numbers(condition, "data.masses"), at::kFloat).to(at::kDouble);
  const auto shares = (masses / masses.sum()).to(at::kFloat).unsqueeze(0);
  const ExampleSet only(shares, at::zeros({1}, at::kLong));
  return {.shape = {.input = {shares.size(1)}, .classes = 1}, .train = only, .test = only};
}

}  // namespace

void add_sample_data(Registries& registries) {
  registries.data_sets.add("four-gaussians", make_four_gaussians);
  registries.data_sets.add("evidence", make_evidence);
  registries.data_sets.add("gaussian-mixture", make_mixture);
  registries.data_sets.add("histogram", make_histogram);
}

}  // namespace perturb
