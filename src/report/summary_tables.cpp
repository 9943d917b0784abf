#include "report/summary_tables.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "report/figures.h"

namespace perturb {

namespace {

/// "10", or "4/5 (1 diverged)".
std::string replicates(const SummaryRow& row, const SummaryCell& cell) {
  if (cell.value.n == row.trials) return std::to_string(row.trials);
  std::string rest;
  const auto add = [&](std::size_t n, std::string_view what) {
    if (n > 0) rest += fmt::format("{}{} {}", rest.empty() ? "" : ", ", n, what);
  };
  add(row.diverged, "diverged");
  add(row.failed, "failed");
  add(cell.not_finite, "not finite");
  add(cell.never, "never");
  add(cell.unmeasured, "not measured");
  add(row.missing, "to run");
  return fmt::format("{}/{} ({})", cell.value.n, row.trials, rest);
}

/// "4", or "3/4" where a pair is incomplete.
std::string pairs(const SummaryCell& cell) {
  const std::size_t n = cell.against.difference.n;
  return n == cell.pairs ? std::to_string(n) : fmt::format("{}/{}", n, cell.pairs);
}

/// "3/4", or "2/4, 1 tie".
std::string wins(const Comparison& against) {
  if (against.difference.n == 0) return "";
  std::string text = fmt::format("{}/{}", against.wins, against.difference.n);
  if (against.ties > 0)
    text += fmt::format(", {} tie{}", against.ties, against.ties == 1 ? "" : "s");
  return text;
}

std::string probability(const std::optional<double>& p) {
  if (!p) return "";
  return *p < 0.001 ? "<0.001" : fmt::format("{:.3f}", *p);
}

std::string effect(const std::optional<double>& g) {
  if (!g) return "";
  return std::fabs(*g) < 1e4 ? fmt::format("{:+.2f}", *g) : fmt::format("{:+.1e}", *g);
}

/// A column of the comparison, and what stands in it.
struct Compared {
  TextTable::Column column;
  std::function<std::string(const SummaryRow&, const SummaryCell&)> cell;
};

std::vector<Compared> comparison(const Quantity& quantity, const Figures& figures) {
  const char* won = quantity.better == Better::Neither ? "higher" : "better";
  return {
      {{.title = "intervention", .flexible = true},
       [](const SummaryRow& row, const SummaryCell&) { return row.intervention; }},
      {{"pairs"}, [](const SummaryRow&, const SummaryCell& cell) { return pairs(cell); }},
      {{"mean", Align::Right},
       [&](const SummaryRow&, const SummaryCell& cell) {
         const Sample& difference = cell.against.difference;
         return difference.n > 0 ? figures.difference(difference.mean) : std::string("-");
       }},
      {{"95% interval", Align::Right},
       [&](const SummaryRow&, const SummaryCell& cell) {
         const Sample& difference = cell.against.difference;
         return difference.n == 1 ? std::string("n = 1")
                                  : figures.interval(difference.mean_interval);
       }},
      {{"g", Align::Right},
       [](const SummaryRow&, const SummaryCell& cell) { return effect(cell.against.hedges_g); }},
      {{won}, [](const SummaryRow&, const SummaryCell& cell) { return wins(cell.against); }},
      {{"p", Align::Right},
       [](const SummaryRow&, const SummaryCell& cell) { return probability(cell.against.p); }},
      {{"Holm", Align::Right},
       [](const SummaryRow&, const SummaryCell& cell) { return probability(cell.against.p_holm); }},
  };
}

std::vector<TextTable::Column> level_columns(const Summary& summary) {
  std::vector<TextTable::Column> columns;
  for (const std::string& factor : summary.by) columns.push_back({factor, Align::Right});
  return columns;
}

/// What p_holm cannot be under.
double least_holm(const SummaryCell& cell) {
  return least_sign_flip_p(cell.against.difference.n) * static_cast<double>(cell.family);
}

/// What there is in a summary that needs to be explained.
struct Said {
  bool single = false;
  bool interval = false;
  bool compared = false;
  bool tested = false;
  const SummaryCell* few = nullptr;  // pairs for a p of 0.05
  bool drawn = false;
  bool one_control = false;
  bool never = false;
  bool kept = false;  // half of the gain, under all the noise that there was
  bool neither = false;

  explicit Said(const Summary& summary) {
    for (const SummaryRow& row : summary.rows) {
      for (std::size_t i = 0; i < row.cells.size(); ++i) {
        const SummaryCell& cell = row.cells[i];
        const std::size_t n = cell.against.difference.n;
        single = single || cell.value.n == 1;
        interval = interval || cell.value.n > 1 || n > 1;
        compared = compared || n > 0;
        tested = tested || cell.against.p;
        if (!few && cell.against.p && least_holm(cell) > 0.05) few = &cell;
        drawn = drawn || (cell.against.p && n > kExactSigns);
        one_control = one_control || (cell.one_control && n > 1);
        const bool noise = summary.quantities[i].of_noise();
        never = never || (cell.never > 0 && !noise);
        kept = kept || (cell.never > 0 && noise);
        neither = neither || (n > 0 && summary.quantities[i].better == Better::Neither);
      }
    }
  }
};

}  // namespace

SummaryTable value_table(const Summary& summary, std::size_t quantity) {
  SummaryTable table{.title = title(summary, quantity), .columns = level_columns(summary)};
  table.columns.insert(table.columns.end(), {{.title = "intervention", .flexible = true},
                                             {"n"},
                                             {"mean ± sd", Align::Right},
                                             {"95% interval", Align::Right}});
  const Figures figures(summary, quantity);
  for (std::size_t i = 0; i < summary.rows.size(); ++i) {
    const SummaryRow& row = summary.rows[i];
    const SummaryCell& cell = row.cells[quantity];
    std::string mean = "-";
    if (cell.value.n > 0) mean = figures.number(cell.value.mean);
    if (cell.value.sd) mean += " ± " + figures.number(*cell.value.sd);
    SummaryTable::Line line{.row = i, .cells = row.levels};
    line.cells.insert(line.cells.end(),
                      {row.intervention, replicates(row, cell), mean,
                       cell.value.n == 1 ? "n = 1" : figures.interval(cell.value.mean_interval)});
    table.lines.push_back(std::move(line));
  }
  return table;
}

std::optional<SummaryTable> difference_table(const Summary& summary, std::size_t quantity) {
  const Figures figures(summary, quantity);
  std::vector<std::size_t> compared;
  bool any = false;
  for (std::size_t i = 0; i < summary.rows.size(); ++i) {
    const SummaryRow& row = summary.rows[i];
    if (row.control) continue;
    compared.push_back(i);
    any = any || row.cells[quantity].against.difference.n > 0;
  }
  if (!any) return std::nullopt;
  std::vector<Compared> columns = comparison(summary.quantities[quantity], figures);
  const auto text = [&](const Compared& column, std::size_t i) {
    return column.cell(summary.rows[i], summary.rows[i].cells[quantity]);
  };
  // What no row has only makes the table wide.
  std::erase_if(columns, [&](const Compared& column) {
    return std::ranges::all_of(compared, [&](std::size_t i) { return text(column, i).empty(); });
  });
  SummaryTable table{
      .title = printable(summary.quantities[quantity].label) + " minus the control's",
      .columns = level_columns(summary)};
  for (const Compared& column : columns) table.columns.push_back(column.column);
  for (const std::size_t i : compared) {
    SummaryTable::Line line{.row = i, .cells = summary.rows[i].levels};
    for (const Compared& column : columns) line.cells.push_back(text(column, i));
    table.lines.push_back(std::move(line));
  }
  return table;
}

std::vector<std::string> notes(const Summary& summary) {
  const Said said(summary);
  std::vector<std::string> all;
  const auto add = [&](bool when, const std::string& note) {
    if (when) all.push_back(note);
  };
  add(!summary.replicates.empty(), "Replicates: " + joined(summary.replicates) + ".");
  add(summary.place.kind == At::Kind::Best,
      "Each trial's best is chosen by the value itself, which flatters all of them.");
  add(said.never, "never: the threshold was not reached; means are over those that reached it.");
  add(said.kept,
      "never: half of the gain was not lost at any strength of noise that was measured; means are "
      "over those that lost it.");
  add(said.compared,
      "Differences are paired with the control of the same variation; several to one control "
      "are averaged first.");
  add(said.one_control,
      "One control for all replicates: what is said holds for it, and need not for another one.");
  add(said.interval,
      "Intervals are Student's t, each by itself: not corrected for many comparisons.");
  add(said.tested,
      fmt::format("g: Hedges' g; p: {}sign-flip test, two-sided; Holm: p corrected for all "
                  "interventions of the group.",
                  said.drawn ? "" : "exact "));
  if (said.few) {
    const std::size_t n = said.few->against.difference.n;
    std::string note = fmt::format("With n pairs p cannot be under 2/2^n, for {}: {:.3f}", n,
                                   least_sign_flip_p(n));
    if (said.few->family > 1)
      note += fmt::format("; nor Holm's, of {} interventions, under {:.3f}", said.few->family,
                          std::min(least_holm(*said.few), 1.0));
    add(true, note + ".");
  }
  add(said.single, "n = 1: one replicate has no spread, so there is no interval.");
  return all;
}

std::string lack(const Replicate& replicate, const Reading& reading) {
  switch (replicate.standing) {
    case Standing::Missing:
      return "to run";
    case Standing::Diverged:
      return "diverged";
    case Standing::Failed:
      return "failed";
    case Standing::Done:
      break;
  }
  switch (reading.lack) {
    case Reading::Lack::Unmeasured:
      return "not measured";
    case Reading::Lack::Never:
      return "never";
    case Reading::Lack::None:
      break;
  }
  return std::isfinite(reading.value) ? "" : fmt::format("{}", reading.value);
}

}  // namespace perturb
