#include "cli/slurm_arguments.h"

#include <cstdlib>
#include <system_error>

#include "perturb/experiment/slurm_settings.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

std::vector<std::string> texts_of(const Value& value) {
  std::vector<std::string> texts;
  for (const Value& item : value.as_list()) texts.push_back(item.as_string());
  return texts;
}

/// Every parameter has a value: what is said, or its default.
SlurmOptions options_of(const SlurmSettings& said) {
  SlurmSettings all = said;
  for (const Parameter& parameter : slurm_parameters())
    all.try_emplace(parameter.name, *parameter.fallback);
  const auto count = [&](const char* name) {
    return static_cast<std::size_t>(all.at(name).as_int());
  };
  SlurmOptions options;
  options.partition = all.at("partition").as_string();
  options.account = all.at("account").as_string();
  options.qos = all.at("qos").as_string();
  options.constraint = all.at("constraint").as_string();
  options.time = all.at("time").as_string();
  options.memory = all.at("memory").as_string();
  options.gpus = all.at("gpus").as_string();
  options.cpus = count("cpus");
  options.lines = texts_of(all.at("lines"));
  options.modules = texts_of(all.at("modules"));
  options.setup = texts_of(all.at("setup"));
  options.container = all.at("container").as_string();
  options.array = count("array");
  options.tasks = count("tasks");
  options.at_once = count("at_once");
  options.bundle = count("bundle");
  options.bundle_steps = all.at("bundle_steps").as_int();
  options.warning = static_cast<int>(all.at("warning").as_int());
  options.retries = count("retries");
  options.poll = all.at("poll").as_float();
  options.patience = all.at("patience").as_float();
  return options;
}

}  // namespace

fs::path slurm_site_file() {
  if (const char* folder = std::getenv("XDG_CONFIG_HOME"); folder && *folder)
    return fs::path(folder) / "perturb" / "slurm.toml";
  if (const char* home = std::getenv("HOME"); home && *home)
    return fs::path(home) / ".config" / "perturb" / "slurm.toml";
  return {};
}

SlurmOptions slurm_options(const fs::path& file, const Source& experiment) {
  fs::path site = file;
  std::error_code ignored;
  if (site.empty()) {
    site = slurm_site_file();
    if (!fs::exists(site, ignored)) site.clear();
  }
  SlurmSettings settings = slurm_settings_of(experiment);
  if (!site.empty()) settings.merge(read_slurm_settings(site));
  return options_of(settings);
}

}  // namespace perturb
