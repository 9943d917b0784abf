#include "perturb/transport/sliced.h"

#include <limits>
#include <vector>

#include <ATen/ATen.h>

#include "perturb/core/random.h"
#include "perturb/transport/line.h"
#include "transport/envelope.h"

namespace perturb::transport {
namespace {

void check(const SlicedOptions& options) {
  check_number("options.p", options.p, 1, std::numeric_limits<double>::max());
  check_number("options.directions", options.directions, 1, std::numeric_limits<int>::max());
}

}  // namespace

Tensor random_directions(std::int64_t dimensions, const SlicedOptions& options) {
  check(options);
  check_number("dimensions", static_cast<double>(dimensions), 1, 0x1p31);
  std::vector<float> numbers(static_cast<std::size_t>(options.directions * dimensions));
  Random(options.seed, "sliced-directions").fill_normal(numbers);
  const auto directions =
      tensor_of({numbers.begin(), numbers.end()}, {options.directions, dimensions});
  return directions / directions.norm(2, 1, /*keepdim=*/true);
}

Tensor sliced_distance(const Measure& alpha, const Measure& beta, const SlicedOptions& options) {
  check_pair(alpha, beta);
  const auto d = coordinates(alpha);
  const auto directions = random_directions(d, options);
  const auto projected = [&](const Measure& measure) {
    const auto& points = measure.points;
    return points.reshape({points.size(0), d}).mm(directions.to(points.options()).t()).t();
  };
  const auto x = projected(alpha);
  const auto y = projected(beta);
  std::vector<Tensor> costs;
  for (std::int64_t k = 0; k < directions.size(0); ++k)
    costs.push_back(line_cost({x[k], alpha.weights}, {y[k], beta.weights}, options.p));
  return root(at::stack(costs).mean(), options.p);
}

}  // namespace perturb::transport
