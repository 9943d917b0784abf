#include "builtin/virtual_target.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "perturb/core/error.h"
#include "perturb/train/draw.h"
#include "perturb/transport/multi_marginal.h"

namespace perturb {
namespace {

std::vector<double> domain_shares(const Condition& condition, std::int64_t domains) {
  std::vector<double> shares;
  for (const auto& value : condition.at("task.domain_weights").as_list())
    shares.push_back(value.as_float());
  const auto count = static_cast<std::size_t>(domains);
  if (shares.empty()) shares.assign(count, 1);
  double total = 0;
  for (const double share : shares) total += share;
  if (shares.size() != count || total <= 0)
    throw Error(ExitCode::Usage, "task.domain_weights has " + std::to_string(shares.size()) +
                                     " numbers of sum " + std::to_string(total) + " for " +
                                     std::to_string(domains) + " domains");
  for (double& share : shares) share /= total;
  return shares;
}

/// The points of each domain, (n_i, d), on the CPU.
std::vector<Tensor> by_domain(const ExampleSet& evidence, std::int64_t domains) {
  const auto all = evidence.range(0, evidence.size());
  const auto inputs = all.inputs.flatten(1).cpu();
  const auto classes = all.targets.cpu();
  std::vector<Tensor> parts;
  for (std::int64_t domain = 0; domain < domains; ++domain) {
    parts.push_back(inputs.index_select(0, classes.eq(domain).nonzero().flatten()));
    if (parts.back().size(0) == 0)
      throw Error(ExitCode::Usage, "domain " + std::to_string(domain) + " has no evidence");
  }
  return parts;
}

}  // namespace

VirtualTarget::VirtualTarget(const Condition& condition, const ExampleSet& evidence,
                             std::int64_t domains)
    : shares_(domain_shares(condition, domains)),
      count_(condition.integer("task.virtual_samples")),
      bandwidth_(condition.number("task.bandwidth")),
      broadening_(condition.number("task.broadening")),
      broadening_steps_(condition.number("task.broadening_steps")) {
  const auto parts = by_domain(evidence, domains);
  if (condition.flag("task.adaptive")) {
    const double scale = at::cat(parts).std(0).mean().item<double>();
    bandwidth_ *= scale;
    broadening_ *= scale;
  }
  std::vector<double> probabilities;
  if (condition.text("task.target") == "barycenter") {
    std::vector<transport::Measure> measures;
    for (const auto& part : parts) measures.push_back({part, {}});
    const auto found = transport::multi_marginal(
        measures, {.weights = at::tensor(shares_, at::kDouble),
                   .epsilon = condition.number("task.barycenter_epsilon")});
    points_ = found.barycenter.points.to(at::kFloat);
    const auto masses = found.barycenter.weights.to(at::kDouble).contiguous();
    probabilities.assign(masses.data_ptr<double>(), masses.data_ptr<double>() + masses.numel());
  } else {
    points_ = at::cat(parts);
    const double temperature = condition.number("task.temperature");
    const double most = *std::ranges::max_element(shares_);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto rows = static_cast<std::size_t>(parts[i].size(0));
      const double domain = std::exp((shares_[i] - most) / temperature);
      probabilities.insert(probabilities.end(), rows, domain / static_cast<double>(rows));
    }
  }
  double sum = 0;
  for (const double p : probabilities) cumulative_.push_back(sum += p);
}

Tensor VirtualTarget::draw(Random& random, std::int64_t step) const {
  auto rows = at::empty({count_}, at::kLong);
  auto row = rows.accessor<std::int64_t, 1>();
  for (std::int64_t i = 0; i < count_; ++i) {
    const double at = random.uniform() * cumulative_.back();
    const auto found = std::ranges::upper_bound(cumulative_, at);
    row[i] = std::min<std::int64_t>(found - cumulative_.begin(), points_.size(0) - 1);
  }
  const double width =
      bandwidth_ + broadening_ * std::exp(-static_cast<double>(step) / broadening_steps_);
  return points_.index_select(0, rows) + draw_normal(random, {count_, points_.size(1)}) * width;
}

}  // namespace perturb
