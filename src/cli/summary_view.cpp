#include "cli/summary_view.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "perturb/report/table.h"

namespace perturb {

namespace {

/// More rows than this scroll the answer away; --all and --json have them.
constexpr std::size_t kMostRows = 60;

}  // namespace

void SummaryArguments::add_to(CLI::App& command) {
  command
      .add_option("--metric", metrics,
                  "Metrics to show, by label; else test.accuracy and test.loss")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME[,NAME]");
  command
      .add_option(
          "--by", by,
          "Factors with rows of their own; else all that vary but seeds, which are replicates")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("FACTOR[,FACTOR]");
  command.add_flag("--all", all, "Every row, however many there are");
}

SummaryOptions SummaryArguments::options() const {
  SummaryOptions options;
  options.metrics = metrics;
  if (!by.empty()) options.by = by;
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

void show_summary(Context& context, const Experiment& experiment, const Plan& plan,
                  const Store& store, const SummaryArguments& arguments) {
  const SummaryOptions options = arguments.options();
  std::vector<Digest> trials;
  std::vector<Step> ends;
  for (const Planned& planned : plan.trials) {
    trials.push_back(planned.trial);
    ends.push_back(planned.end);
  }
  const auto observations =
      observe(experiment, store, trials, ends, summary_metrics(experiment, options));
  const Summary summary = summarise(experiment, observations, options);
  if (context.json) {
    context.out.write(to_json(summary));
    return;
  }
  std::string head = inked(printable(experiment.name()), Ink::Bold, context.out.color()) + "\n";
  if (!experiment.description().empty()) head += printable(experiment.description()) + "\n";
  context.out.write(head + "\n" +
                    render(summary, {.color = context.out.color(),
                                     .most_rows = arguments.all ? 0 : kMostRows,
                                     .width = context.out.width()}));
}

}  // namespace perturb
