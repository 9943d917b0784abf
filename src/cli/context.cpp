#include <cstdlib>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace perturb {

void Context::on(CLI::App* command, Action chosen) {
  command->callback([this, chosen = std::move(chosen)] { action = chosen; });
}

std::filesystem::path Context::store_folder(const std::filesystem::path& experiment_file) const {
  if (!store.empty()) return store;
  if (const char* folder = std::getenv("PERTURB_STORE"); folder && *folder) return folder;
  return experiment_file.parent_path() / ".perturb";
}

DataOptions Context::data_options(const std::filesystem::path& experiment_file) const {
  return {.folders = data, .beside = experiment_file.parent_path()};
}

}  // namespace perturb
