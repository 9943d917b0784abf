#include <memory>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/cores.h"
#include "cli/engine_loader.h"
#include "cli/wording.h"
#include "perturb/catalog/data_files.h"
#include "perturb/report/table.h"
#include "perturb/store/store.h"

namespace perturb {

namespace {

/// A core that has an optimised BLAS does tens of GFLOP/s, with the reference BLAS about 5.
constexpr double kSlowGflops = 15;

struct Finding {
  enum class Kind { Fine, Note, Problem };
  Kind kind = Kind::Fine;
  std::string subject = {};
  std::string text = {};
  std::string advice = {};
};
using Findings = std::vector<Finding>;

void examine_engine(const Context& context, Findings& findings) {
  try {
    const auto engine = load_engine(engine_options(context, ""));
    const Numerics numerics = engine->numerics(/*measure=*/true);
    findings.push_back(
        {.subject = "LibTorch", .text = fmt::format("{} ({})", numerics.libtorch, numerics.cpu)});
    const bool slow = numerics.blas_is_slow || numerics.gflops < kSlowGflops;
    findings.push_back(
        {.kind = slow ? Finding::Kind::Problem : Finding::Kind::Fine,
         .subject = "BLAS",
         .text = fmt::format("{}, {:.0f} GFLOP/s on a core", numerics.blas, numerics.gflops),
         .advice = slow ? "training is many times slower than it could be: `./dev setup`, or `apt "
                          "install libopenblas0-openmp`"
                        : ""});
    findings.push_back({.subject = "threads",
                        .text = fmt::format("{} a trial; {} (the default of -j)", numerics.threads,
                                            counted(physical_cores(), "physical core"))});
    findings.push_back({.subject = "devices", .text = listed(numerics.devices)});
  } catch (const Error& error) {
    findings.push_back({Finding::Kind::Problem, "training", error.what(), error.advice()});
  }
}

void examine_data(const Context& context, Findings& findings) {
  const auto folders = data_folders(context.data_options(""));
  for (const DataSource& source : data_sources()) {
    const Located located = locate(source.kind, folders);
    const std::string subject = "data " + std::string(source.kind);
    if (located.complete)
      findings.push_back(
          {.subject = subject, .text = located.files.front().parent_path().string()});
    else
      findings.push_back(
          {Finding::Kind::Note, subject, "not found", how_to_get(source.kind, located)});
  }
}

void examine_store(const Context& context, Findings& findings) {
  const auto folder = context.store_folder("");
  if (!Store::exists(folder)) {
    findings.push_back({.subject = "store", .text = "none yet in " + folder.string()});
    return;
  }
  try {
    const Store store = Store::open(folder, Store::Access::Read);
    const Table table = store.query("select count(*) from trials");
    findings.push_back(
        {.subject = "store",
         .text = fmt::format(
             "{}, {}", folder.string(),
             counted(static_cast<std::size_t>(std::get<std::int64_t>(table.rows.at(0).at(0))),
                     "trial"))});
  } catch (const Error& error) {
    findings.push_back({Finding::Kind::Problem, "store", error.what(), error.advice()});
  }
}

std::string_view mark(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::Fine:
      return "ok";
    case Finding::Kind::Note:
      return "note";
    case Finding::Kind::Problem:
      return "problem";
  }
  return {};
}

std::string text(const Findings& findings, bool color) {
  std::string all;
  for (const Finding& finding : findings) {
    const Ink ink = finding.kind == Finding::Kind::Fine   ? Ink::Green
                    : finding.kind == Finding::Kind::Note ? Ink::Yellow
                                                          : Ink::Red;
    all += inked(fmt::format("{:<8}", mark(finding.kind)), ink, color) +
           fmt::format("{:<20}{}\n", finding.subject, printable(finding.text));
    if (!finding.advice.empty()) all += fmt::format("{:28}{}\n", "", printable(finding.advice));
  }
  return all;
}

std::string json(const Findings& findings) {
  nlohmann::json all = nlohmann::json::array();
  for (const Finding& finding : findings)
    all.push_back({{"state", mark(finding.kind)},
                   {"subject", finding.subject},
                   {"text", finding.text},
                   {"advice", finding.advice}});
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("doctor", "Examine LibTorch, BLAS, threads, data sets and store");
  command->footer("Ends with 6 when there is a problem, each with what to do about it.");
  context.on(command, [&context] {
    Findings findings;
    findings.push_back({.subject = "perturb", .text = PERTURB_VERSION});
    examine_engine(context, findings);
    examine_data(context, findings);
    examine_store(context, findings);
    context.out.write(context.json ? json(findings) : text(findings, context.out.color()));
    for (const Finding& finding : findings) {
      if (finding.kind == Finding::Kind::Problem) return ExitCode::Found;
    }
    return ExitCode::Done;
  });
}

}  // namespace perturb
