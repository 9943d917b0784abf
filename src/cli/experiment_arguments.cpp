#include "cli/experiment_arguments.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/plugins.h"
#include "perturb/core/error.h"
#include "perturb/core/nearest_file.h"
#include "perturb/experiment/ancestry.h"

namespace perturb {

void ExperimentArguments::add_to(CLI::App& command) {
  command.add_option("FILE", file, "The experiment file")->required();
  command
      .add_option("OVERRIDES", overrides,
                  "path=value or path=a,b,c: replaces what the file says, or makes it vary")
      ->type_name("path=value");
}

namespace {

using Missing = std::shared_ptr<std::vector<std::string>>;

/// The text of a file; of one that is not there the nearest name is said.
Source read_text(const std::filesystem::path& file) {
  try {
    return read_experiment(file);
  } catch (const Error& error) {
    std::error_code ignored;
    const bool absent = !std::filesystem::exists(file, ignored);
    const auto near = absent ? nearest_file(file, ".toml") : std::filesystem::path();
    if (near.empty()) throw;
    throw Error(error.code(), error.what(), fmt::format("did you mean \"{}\"?", near.string()));
  }
}

/// What is wrong with data is the same whoever's they are.
Experiment read(Context& context, const std::filesystem::path& file,
                const std::vector<std::string>& overrides, const Missing& missing,
                const ExperimentLookup& others) {
  const DataOptions options = context.data_options(file);
  const DataLookup lookup = [missing, options, &context](const Condition& condition) {
    DataFacts found = facts(condition, options, context.schema);
    const bool is_new =
        std::find(missing->begin(), missing->end(), found.missing) == missing->end();
    if (!found.missing.empty() && is_new) missing->push_back(found.missing);
    return found;
  };
  Source source = read_text(file);
  load_plugins(context, plugins_of(source), file);
  return Experiment::load(std::move(source), file, overrides, context.schema, lookup, others);
}

}  // namespace

Loaded ExperimentArguments::load(Context& context) const {
  const auto missing = std::make_shared<std::vector<std::string>>();
  // What is said on the command line is said of this file alone.
  Ancestry ancestry(file, [&](const std::filesystem::path& other, const ExperimentLookup& others) {
    return read(context, other, {}, missing, others);
  });
  Experiment experiment = read(context, file, overrides, missing, ancestry.lookup());
  for (const Diagnostic& warning : experiment.warnings()) context.err.write(render(warning));
  return {std::move(experiment), missing};
}

Store store_to_read(const std::filesystem::path& folder) {
  if (!Store::exists(folder)) return Store::in_memory();
  return Store::open(folder, Store::Access::Read);
}

}  // namespace perturb
