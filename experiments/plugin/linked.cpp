// A program of one's own around the library: what metric.cpp brings is linked rather than loaded,
// and every trial of an experiment is trained, one after the other and without a store.
#include <cstdio>

#include <perturb/catalog/data_files.h>
#include <perturb/experiment/experiment.h>
#include <perturb/plugin/plugin.h>
#include <perturb/train/engine.h>

using namespace perturb;

int main(int count, char** arguments) try {
  if (count != 2) throw Error(ExitCode::Usage, "usage: linked FILE.toml");
  Plugin own;
  perturb_plugin()->fill(own);

  Schema schema = builtin_schema();
  own.add_to(schema);
  const DataLookup data = [&](const Condition& condition) { return facts(condition, {}, schema); };
  const Experiment experiment = Experiment::load(arguments[1], {}, schema, data);

  EngineOptions options{.data_folders = data_folders({})};
  options.extend = [&](Registries& registries) { own.add_to(registries); };
  const std::unique_ptr<Engine> engine(perturb_engine(kEngineVersion, &options));

  for (std::size_t number = 0; number < experiment.trials(); ++number) {
    const Assignment trial = experiment.assignment(number);
    Progress progress;
    const Record record = engine->train(trial, progress, [](Record&&) {});
    for (const Measured& measured : record.measured) {
      for (const MetricSpec& metric : trial.metrics) {
        if (metric.definition() == measured.metric)
          std::printf("%zu\t%s\t%lld\t%.17g\n", number, metric.label.c_str(),
                      static_cast<long long>(measured.step), measured.value);
      }
    }
    if (record.outcome != Outcome::Done) throw Error(ExitCode::SomeFailed, record.message);
  }
} catch (const Error& error) {
  std::fprintf(stderr, "error: %s\n%s\n", error.what(), error.advice().c_str());
  return static_cast<int>(error.code());
}
