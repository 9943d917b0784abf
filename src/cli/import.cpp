#include <algorithm>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/wording.h"
#include "perturb/core/files.h"
#include "perturb/core/state_dict.h"
#include "perturb/core/tensor_names.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = std::size_t{16} << 30;

struct Options {
  fs::path file;
  fs::path to;
  std::string entry;
  std::vector<std::string> names;
  bool force = false;
};

void check_free(const fs::path& path, bool force) {
  std::error_code error;
  const auto type = fs::symlink_status(path, error).type();
  if (type == fs::file_type::not_found || (type == fs::file_type::regular && force)) return;
  throw Error(ExitCode::Usage, "there is already a " + path.string(),
              "--force replaces a file, -o names another one");
}

/// The tensors under the names that the renamings make.
void rename(StateDict& dict, const std::vector<Renaming>& names) {
  std::set<std::string> taken;
  for (auto& tensor : dict.tensors) {
    const auto before = std::exchange(tensor.name, renamed(tensor.name, names));
    if (!tensor.name.empty() && !taken.insert(tensor.name).second)
      throw Error(ExitCode::Usage, fmt::format("{} would be a second {}", before, tensor.name),
                  "\"" + before + "=\" leaves it out");
  }
  std::erase_if(dict.tensors, [](const StoredTensor& tensor) { return tensor.name.empty(); });
  if (dict.tensors.empty())
    throw Error(ExitCode::Usage, "--names leaves all tensors out", "take back a NAME= of it");
}

std::string shape_of(const StoredTensor& tensor) {
  return fmt::format("({})", fmt::join(tensor.shape, ", "));
}

void say(Context& context, const StateDict& dict, const Options& options) {
  std::size_t bytes = 0;
  for (const auto& tensor : dict.tensors) bytes += tensor.bytes.size();
  if (context.json) {
    nlohmann::json tensors = nlohmann::json::array();
    for (const auto& tensor : dict.tensors)
      tensors.push_back({{"name", tensor.name}, {"shape", tensor.shape}, {"dtype", tensor.dtype}});
    const nlohmann::json all = {{"file", options.to.string()},
                                {"tensors", tensors},
                                {"left_out", dict.others},
                                {"bytes", bytes}};
    context.out.line(all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  TextTable table({{"tensor"}, {"shape"}, {"dtype"}});
  for (const auto& tensor : dict.tensors) table.add({tensor.name, shape_of(tensor), tensor.dtype});
  context.out.write(table.text({.color = context.out.color()}));
  context.out.line(fmt::format("{}: {}, {}", printable(options.to.string()),
                               counted(dict.tensors.size(), "tensor"), byte_size(bytes)));
  if (!dict.others.empty()) {
    constexpr std::size_t kNamed = 20;
    auto named = dict.others;
    if (named.size() > kNamed) {
      named.resize(kNamed);
      named.push_back(fmt::format("{} more", dict.others.size() - kNamed));
    }
    context.err.line("note: left out, for they are no tensors: " + printable(listed(named)));
  }
}

ExitCode run_import(Context& context, Options options) {
  const auto names = renamings(options.names);
  if (options.to.empty()) options.to = options.file.filename().replace_extension(".safetensors");
  const auto bytes = read_file(options.file, kMostBytes);
  StateDict dict;
  try {
    dict = read_state_dict(bytes, options.entry);
  } catch (const Error& error) {
    throw Error(error.code(), options.file.string() + ": " + error.what(), error.advice());
  }
  rename(dict, names);
  check_free(options.to, options.force);
  write_atomically(options.to, write_safetensors(dict.tensors, {{"format", "pt"}}));
  say(context, dict, options);
  return ExitCode::Done;
}

}  // namespace

void add_import(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("import", "Make weights that PyTorch saved the start of a network");
  command->footer(
      "Reads a state_dict, or another dictionary of tensors, that torch.save wrote (PyTorch 1.6 "
      "and\n"
      "later), and writes safetensors, which `weights` under [model] takes. A file of PyTorch's "
      "is\n"
      "a pickle, which may run anything when PyTorch loads it; here it is only read, and what is\n"
      "more than tensors in dictionaries is refused. docs/import-weights.md shows the whole "
      "way.\n\n"
      "Examples:\n"
      "  perturb import resnet18.pt\n"
      "  perturb import checkpoint.pt --entry model -o resnet18.safetensors\n"
      "  perturb import parallel.pt --names \"module.*=*\" --names \"head.*=fc.*\"");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file, "What torch.save wrote")->required();
  command
      ->add_option("-o,--output", options->to,
                   "Where to; else the name of FILE with .safetensors, in this folder")
      ->type_name("OUT");
  command
      ->add_option("--entry", options->entry,
                   "The dictionary of tensors in a checkpoint that has more: \"model\"")
      ->type_name("NAME");
  command
      ->add_option("--names", options->names,
                   "Rename: a name, or a pattern with one * on both sides; nothing after = leaves "
                   "out; repeatable")
      ->type_name("THEIRS=OURS")
      ->allow_extra_args(false);
  command->add_flag("--force", options->force, "Replace the file that is there");
  context.on(command, [&context, options] { return run_import(context, *options); });
}

}  // namespace perturb
