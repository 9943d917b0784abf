// Any text is an experiment or an InvalidExperiment; nothing else, in bounded time and memory.
#include "perturb/experiment/experiment.h"

#include <cstdint>
#include <string>

#include "perturb/catalog/catalog.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const perturb::Schema schema = perturb::builtin_schema();
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  const auto data = [](const perturb::Condition&) {
    perturb::DataFacts facts;
    facts.train = 1000;
    return facts;
  };
  try {
    const auto experiment =
        perturb::Experiment::parse({"fuzz", text}, "/nowhere", {}, schema, data);
    experiment.assignment(experiment.trials() - 1);
  } catch (const perturb::InvalidExperiment&) {
  }
  return 0;
}
