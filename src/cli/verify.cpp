#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/wording.h"
#include "perturb/report/table.h"
#include "perturb/store/upkeep.h"

namespace perturb {

namespace {

struct Options {
  std::filesystem::path file;
  bool repair = false;
};

struct Result {
  Inspection inspection;
  std::vector<Finding> repaired;

  std::size_t count(bool damage) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        inspection.findings, [&](const Finding& finding) { return finding.damage() == damage; }));
  }
  bool is_repaired(const Finding& finding) const {
    return std::ranges::any_of(
        repaired, [&](const Finding& one) { return one.state == finding.state && one.repairable; });
  }
};

/// Blobs are read at the speed of the disk: on a terminal it is shown how far that is.
class MeterLine {
 public:
  explicit MeterLine(Output& output) : output_(output) {}
  MeterLine(const MeterLine&) = delete;
  MeterLine& operator=(const MeterLine&) = delete;
  ~MeterLine() {
    if (!shown_.empty()) output_.write("\r\x1b[K");
  }

  void show(std::uintmax_t done, std::uintmax_t all) {
    if (!output_.terminal()) return;
    const std::string text =
        fmt::format("reading checkpoints: {} of {}", byte_size(done), byte_size(all));
    if (text == shown_) return;
    shown_ = text;
    output_.write("\r\x1b[K" + text);
    output_.flush();
  }

 private:
  Output& output_;
  std::string shown_;
};

nlohmann::json json_of(const Finding& finding, bool repaired) {
  return {{"kind", name_of(finding.kind)},    {"subject", finding.subject},
          {"message", finding.message},       {"advice", finding.advice},
          {"repairable", finding.repairable}, {"repaired", repaired && finding.repairable},
          {"damage", finding.damage()}};
}

void write_json(Context& context, const std::filesystem::path& folder, const Result& result) {
  nlohmann::json findings = nlohmann::json::array();
  for (const Finding& finding : result.inspection.findings)
    findings.push_back(json_of(finding, result.is_repaired(finding)));
  const nlohmann::json all = {{"store", folder.string()},
                              {"checkpoints", result.inspection.checkpoints},
                              {"bytes", result.inspection.bytes},
                              {"damaged", result.count(true)},
                              {"unused", result.count(false)},
                              {"repaired", result.repaired.size()},
                              {"findings", findings}};
  context.out.line(all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void write_text(Context& context, const std::filesystem::path& folder, const Result& result,
                bool repair) {
  Output& out = context.out;
  out.line(fmt::format("store {}: {}, {}", printable(folder.string()),
                       counted(result.inspection.checkpoints, "checkpoint"),
                       byte_size(result.inspection.bytes)));
  std::string advice;
  bool repairable = false;
  for (const Finding& finding : result.inspection.findings) {
    if (!finding.damage()) continue;
    const bool repaired = result.is_repaired(finding);
    out.line(inked(repaired ? "  repaired  " : "  damaged   ", repaired ? Ink::Green : Ink::Red,
                   out.color()) +
             printable(finding.subject) + ": " + printable(finding.message));
    repairable = repairable || (finding.repairable && !repaired);
    if (!repaired && !finding.advice.empty()) advice = finding.advice;
  }
  if (!advice.empty()) out.line(printable(advice));
  if (repairable && !repair)
    out.line("--repair forgets these checkpoints; the next run trains what it needs of them again");
  if (repairable && repair) out.line("nothing was repaired: results.db has to be sound for that");
  if (!result.repaired.empty())
    out.line(fmt::format("forgot {}; the next run trains what it needs of them again",
                         counted(result.repaired.size(), "checkpoint")));
  if (result.count(true) == 0) out.line("nothing is wrong");
  if (const std::size_t unused = result.count(false); unused > 0)
    out.line(fmt::format("{} of no use, which is no damage; `perturb gc` lists what can go",
                         counted(unused, "file")));
}

ExitCode verify(Context& context, const Options& options) {
  const auto folder = context.store_folder(options.file);
  if (!Store::exists(folder))
    throw Error(ExitCode::Usage, "there is no store in \"" + folder.string() + "\"",
                "name the experiment file beside it, or the store by --store");
  Store store = Store::open(folder, options.repair ? Store::Access::Remove : Store::Access::Read);
  Upkeep upkeep(store);
  Result result;
  {
    MeterLine line(context.err);
    result.inspection =
        upkeep.inspect([&](std::uintmax_t done, std::uintmax_t all) { line.show(done, all); });
  }
  if (options.repair) result.repaired = upkeep.repair(result.inspection.findings);
  if (context.json)
    write_json(context, folder, result);
  else
    write_text(context, folder, result, options.repair);
  return result.count(true) == result.repaired.size() ? ExitCode::Done : ExitCode::Found;
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("verify", "Check a store: its database and every byte of its checkpoints");
  command->footer(
      "Ends with 6 when something is damaged, also beside a run that goes on. What can be "
      "repaired\n"
      "are checkpoints: they are forgotten, and trained again when they are needed. Measurements\n"
      "are never removed.\n\n"
      "Examples:\n"
      "  perturb verify\n"
      "  perturb verify momentum.toml --repair");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file,
                      "The experiment file whose store is meant; else --store");
  command->add_flag("--repair", options->repair, "Forget checkpoints that are damaged");
  context.on(command, [&context, options] { return verify(context, *options); });
}

}  // namespace perturb
