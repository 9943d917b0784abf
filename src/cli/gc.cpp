#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/wording.h"
#include "perturb/execute/slurm.h"
#include "perturb/report/table.h"
#include "perturb/store/upkeep.h"

namespace perturb {

namespace {

struct Options {
  std::filesystem::path file;
  bool apply = false;
};

std::uintmax_t sum(const std::vector<Garbage>& garbage) {
  std::uintmax_t bytes = 0;
  for (const Garbage& one : garbage) bytes += one.bytes;
  return bytes;
}

std::string path_in(const std::filesystem::path& folder, const Garbage& one) {
  return one.path.lexically_relative(folder).string();
}

void write_json(Context& context, const std::filesystem::path& folder,
                const std::vector<Garbage>& garbage, bool applied) {
  nlohmann::json items = nlohmann::json::array();
  for (const Garbage& one : garbage) {
    items.push_back({{"kind", name_of(one.kind)},
                     {"path", path_in(folder, one)},
                     {"bytes", one.bytes},
                     {"subject", one.subject}});
  }
  const nlohmann::json all = {
      {"store", folder.string()}, {"applied", applied}, {"bytes", sum(garbage)}, {"items", items}};
  context.out.line(all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void write_text(Context& context, const std::filesystem::path& folder,
                const std::vector<Garbage>& garbage, bool applied) {
  constexpr std::size_t kShown = 40;
  Output& out = context.out;
  const std::string store = "store " + printable(folder.string()) + ": ";
  if (garbage.empty()) return out.line(store + "nothing that could go");
  out.line(fmt::format("{}{}, {}{}", store, counted(garbage.size(), "thing"),
                       byte_size(sum(garbage)),
                       applied ? " removed" : " that nothing in the store needs"));
  TextTable table({{"what"}, {"size", Align::Right}, {"where", Align::Left, true}});
  for (std::size_t i = 0; i < std::min(kShown, garbage.size()); ++i) {
    const Garbage& one = garbage[i];
    table.add({std::string(name_of(one.kind)), byte_size(one.bytes),
               one.subject.empty() ? path_in(folder, one) : one.subject});
  }
  out.write(table.text({.color = out.color(), .widest_cell = 100, .width = out.width()}));
  if (garbage.size() > kShown)
    out.line(fmt::format("and {} more; --json lists them", grouped(std::ssize(garbage) - 40)));
  if (!applied) out.line("--apply removes them");
}

ExitCode collect(Context& context, const Options& options) {
  const auto folder = context.store_folder(options.file);
  if (!Store::exists(folder))
    throw Error(ExitCode::Usage, "there is no store in \"" + folder.string() + "\"",
                "name the experiment file beside it, or the store by --store");
  if (options.apply && slurm_has_batches(folder))
    throw Error(ExitCode::Locked,
                "jobs may be in the queue of Slurm that need what is in the store",
                "`perturb run` takes what they left and ends those that nobody wants; `perturb "
                "cancel` ends all");
  Store store = Store::open(folder, options.apply ? Store::Access::Remove : Store::Access::Read);
  Upkeep upkeep(store);
  const std::vector<Garbage> garbage = upkeep.garbage();
  if (options.apply) upkeep.remove(garbage);
  const bool under_way =
      !options.apply && !store.query("SELECT 1 FROM runs WHERE outcome IS NULL").rows.empty();
  if (under_way)
    context.err.line(
        "note: a run goes on, or was killed: what it is about to refer to is listed, too");
  if (context.json)
    write_json(context, folder, garbage, options.apply);
  else
    write_text(context, folder, garbage, options.apply);
  return ExitCode::Done;
}

}  // namespace

void add_gc(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("gc", "List what a store holds in vain, and remove it");
  command->footer(
      "What goes: checkpoints that no experiment in the store keeps (`checkpoints.keep`), files "
      "that\n"
      "nothing refers to, and what killed runs left. Never measurements. It works on a full disk,\n"
      "and with --apply not while a run goes on (4).\n\n"
      "Examples:\n"
      "  perturb gc\n"
      "  perturb gc momentum.toml --apply");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file,
                      "The experiment file whose store is meant; else --store");
  command->add_flag("--apply", options->apply, "Remove it; otherwise it is only listed");
  context.on(command, [&context, options] { return collect(context, *options); });
}

}  // namespace perturb
