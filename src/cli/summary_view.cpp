#include "cli/summary_view.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "perturb/report/caution.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

/// More rows than this scroll the answer away; --all and --json have them.
constexpr std::size_t kMostRows = 60;

}  // namespace

void SummaryArguments::add_selection_to(CLI::App& command) {
  // Commas are taken care of in options(): those in steps_to(test.accuracy,0.8) separate nothing.
  command
      .add_option("--metric", metrics,
                  "Metrics to show, by label; auc(LABEL) is the mean over epochs, "
                  "steps_to(LABEL,X) the first step that reaches X, noise_auc(LABEL) and "
                  "noise_half(LABEL,CHANCE) sum up a score under noise; else test.accuracy and "
                  "test.loss")
      ->allow_extra_args(false)
      ->type_name("NAME[,NAME]");
  command
      .add_option(
          "--by", by,
          "Factors with rows of their own; else all that vary but seeds, which are replicates")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("FACTOR[,FACTOR]");
}

void SummaryArguments::add_all_to(CLI::App& command) {
  command.add_flag("--all", all, "Every row, however many there are");
}

void SummaryArguments::add_place_to(CLI::App& command) {
  command
      .add_option("--at", at,
                  "Where in the run: last, best (each trial's own), a step (controls at the same "
                  "epoch), or epoch:N")
      ->type_name("PLACE");
}

void SummaryArguments::add_views_to(CLI::App& command) {
  command.add_flag("--seeds", seeds, "Every replicate as a row of its own");
  command.add_flag("--csv", csv, "As CSV, every figure with all its digits");
  command.add_flag("--spreadsheet", spreadsheet,
                   "As --csv, but no text is taken for a formula: one that looks like it gets a ' "
                   "before it");
}

SummaryOptions SummaryArguments::options() const {
  SummaryOptions options;
  for (const std::string& words : metrics) {
    for (std::string& word : split_metrics(words)) options.metrics.push_back(std::move(word));
  }
  if (!by.empty()) options.by = by;
  options.at = at_from(at);
  return options;
}

void note_fingerprints(Context& context, const std::string& experiment, const Store& store) {
  const Table table = store.query(
      "SELECT r.fingerprint, count(*) FROM trials AS t JOIN runs AS r ON r.id = t.run "
      "WHERE t.experiment = ?1 AND t.outcome <> 'interrupted' GROUP BY 1 ORDER BY 2 DESC",
      {experiment});
  if (table.rows.size() < 2) return;
  context.err.line(
      fmt::format("note: results come from {} different set-ups, and may differ in their last bits "
                  "between them",
                  table.rows.size()));
  for (const auto& row : table.rows)
    context.err.line(fmt::format("  {} trials: {}", std::get<std::int64_t>(row[1]),
                                 printable(std::get<std::string>(row[0]))));
}

Results results_of(const Experiment& experiment, const Plan& plan, const Store& store) {
  std::vector<Digest> trials;
  std::vector<Step> ends;
  for (const Planned& planned : plan.trials) {
    trials.push_back(planned.trial);
    ends.push_back(planned.end);
  }
  return {experiment, store, std::move(trials), std::move(ends)};
}

void warn_of_cautions(Context& context, const Results& results) {
  context.out.flush();  // so that what warns of a table comes after it
  for (const Caution& caution : cautions(results))
    context.err.line(inked("warning: ", Ink::Yellow, context.err.color()) + caution.text());
}

namespace {

void write_summary(Context& context, const Results& results, const SummaryArguments& arguments) {
  const Experiment& experiment = results.experiment();
  const SummaryOptions options = arguments.options();
  // Raw values cost making every trial.
  const Results::View view =
      arguments.seeds ? results.view(options) : Results::View{results.summary(options), {}};
  const Summary& summary = view.summary;
  const auto* raw = arguments.seeds ? &view.replicates : nullptr;
  if (context.json) {
    context.out.write(to_json(summary, raw));
    return;
  }
  if (arguments.csv || arguments.spreadsheet) {
    const CsvReader reader = arguments.spreadsheet ? CsvReader::Spreadsheet : CsvReader::Program;
    context.out.write(raw ? to_csv(summary, *raw, reader) : to_csv(summary, reader));
    return;
  }
  std::string head = inked(printable(experiment.name()), Ink::Bold, context.out.color()) + "\n";
  if (!experiment.description().empty()) head += printable(experiment.description()) + "\n";
  const SummaryStyle style{.color = context.out.color(),
                           .most_rows = arguments.all ? 0 : kMostRows,
                           .width = context.out.width()};
  context.out.write(head + "\n" + (raw ? render(summary, *raw, style) : render(summary, style)));
}

}  // namespace

void show_summary(Context& context, const Experiment& experiment, const Plan& plan,
                  const Store& store, const SummaryArguments& arguments) {
  const Results results = results_of(experiment, plan, store);
  write_summary(context, results, arguments);
  warn_of_cautions(context, results);
}

}  // namespace perturb
