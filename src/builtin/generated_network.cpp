#include "builtin/generated_network.h"

#include "builtin/flow_task.h"
#include "builtin/network_scores.h"
#include "perturb/core/error.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/population.h"

namespace perturb {

std::string generated_network(const Ancestor& from, const Dataset& networks,
                              const Registries& registries, const Blobs* blobs) {
  if (!from.blob || !blobs)
    throw Error(ExitCode::Store, "the flow that generates is not there any more");
  const auto task = registries.tasks.at(from.start.text("task.kind"))(from.start);
  auto* flow = dynamic_cast<FlowMatching*>(task.get());
  if (!flow || !networks.population)
    throw Error(ExitCode::Usage, "what is generated there is no network");
  FlatState state(flow->start({from.start, networks, registries}),
                  networks.train.inputs().device());
  begin_with(blobs->get(*from.blob), state);

  const auto& population = *networks.population;
  const auto example = flow->generate({.first = *from.generated, .count = 1});
  NetworkScores scores(population, registries);
  scores.recalibrate(population.as_parameters(example.cpu())[0]);
  return to_safetensors(scores.state(), "", 0);
}

}  // namespace perturb
