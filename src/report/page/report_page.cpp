#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perturb/report/caution.h"
#include "perturb/report/metric_group.h"
#include "perturb/report/report.h"
#include "perturb/report/table.h"
#include "report/figures.h"
#include "report/page/answers.h"
#include "report/page/figure_html.h"
#include "report/page/html.h"
#include "report/page/page.h"
#include "report/summary_tables.h"

namespace perturb {

namespace {

using Json = nlohmann::json;

/// A word, and a sign that reads without colour.
struct Look {
  std::string_view text;
  std::string_view style;
};
Look look(Standing standing) {
  switch (standing) {
    case Standing::Missing:
      return {"○ to run", "wait"};
    case Standing::Done:
      return {"● done", "good"};
    case Standing::Diverged:
      return {"▲ diverged", "bad"};
    case Standing::Failed:
      return {"✕ failed", "bad"};
  }
  return {};
}

HtmlTable table_of(const Summary& summary, const SummaryTable& table) {
  HtmlTable all{.filter = table.lines.size() > 10};
  for (const TextTable::Column& column : table.columns)
    all.columns.push_back({column.title, column.align == Align::Right});
  const std::vector<std::string>* above = nullptr;
  for (const SummaryTable::Line& line : table.lines) {
    const SummaryRow& row = summary.rows[line.row];
    const bool first = above && *above != row.levels;
    all.rows.push_back({line.cells, row.control ? first ? "control first" : "control"
                                    : first     ? "first"
                                                : ""});
    above = &row.levels;
  }
  return all;
}

/// Every metric that is measured and no part of a picture, what `show` shows first.
std::vector<std::string> all_metrics(const Experiment& experiment, const At& place) {
  std::vector<std::string> labels;
  for (const Quantity& quantity : quantities(experiment, {}, place))
    labels.push_back(quantity.label);
  for (const MetricGroup& group : metric_groups(experiment.metrics())) {
    if (group.is_picture()) continue;
    for (std::size_t i = group.first; i < group.first + group.count; ++i) {
      const MetricSpec& metric = experiment.metrics()[i];
      if (metric.every.kind == Every::Kind::Never) continue;
      if (std::ranges::find(labels, metric.label) == labels.end()) labels.push_back(metric.label);
    }
  }
  return labels;
}

class Report {
 public:
  Report(const Results& results, const Store& store, const ReportOptions& options)
      : results_(results),
        experiment_(results.experiment()),
        store_(store),
        options_(options),
        shown_(quantities(experiment_, options.summary.metrics, options.summary.at).size()),
        view_(results.view(with_metrics(options.summary))),
        cautions_(cautions(results)) {}

  std::string text() {
    Page page{.title = experiment_.name(), .refresh = options_.refresh};
    page.head = head();
    add(page, "results", "Results", comparison());
    add(page, "plots", "Plots", plots());
    add(page, "trials", "Trials", trials());
    add(page, "failures", "Failures", failures());
    add(page, "provenance", "Provenance", provenance());
    page.foot = fmt::format("Written {} by perturb {}: <code>{}</code>", html(options_.written),
                            PERTURB_VERSION, html(options_.command));
    return page.text();
  }

 private:
  SummaryOptions with_metrics(SummaryOptions options) const {
    if (options.metrics.empty()) options.metrics = all_metrics(experiment_, options.at);
    return options;
  }

  static void add(Page& page, std::string id, std::string title, std::string content) {
    page.sections.push_back({std::move(id), std::move(title), std::move(content)});
  }

  std::string head() const {
    std::map<Standing, std::size_t> counts;
    for (const Replicate& replicate : view_.replicates) ++counts[replicate.standing];
    const std::size_t trials = view_.replicates.size();
    std::string all;
    if (!experiment_.description().empty())
      all += "<p class=question>" + html(experiment_.description()) + "</p>\n";
    all += fmt::format("<ul class=states aria-label=\"State of the trials\">\n");
    for (const auto& [standing, n] : counts) {
      all += fmt::format("<li class={}><b>{}</b> {}</li>\n", look(standing).style, n,
                         look(standing).text);
    }
    const std::size_t over = trials - counts[Standing::Missing];
    all += fmt::format(
        "</ul>\n<meter min=0 max={0} value={1} aria-label=\"Trials that are over\">{1} of "
        "{0}</meter>\n",
        trials, over);
    for (const Caution& caution : cautions_)
      all += "<p class=caution>▲ " + html(caution.text()) + "</p>\n";
    all += fmt::format("<p class=faint>{} = {} {} × (control + {} {}){}</p>\n",
                       counted(trials, "trial"), experiment_.variations(),
                       experiment_.variations() == 1 ? "variation" : "variations",
                       experiment_.alternatives(),
                       experiment_.alternatives() == 1 ? "intervention" : "interventions",
                       options_.refresh > 0 ? "; the sweep goes on, and this page follows it" : "");
    return all;
  }

  static std::string counted(std::size_t n, std::string_view what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  }

  std::string comparison() const {
    const Summary& summary = view_.summary;
    std::string all;
    for (std::size_t i = 0; i < summary.quantities.size(); ++i) {
      const SummaryTable values = value_table(summary, i);
      std::string tables = html(table_of(summary, values));
      if (const auto differences = difference_table(summary, i))
        tables +=
            "<h4>" + html(differences->title) + "</h4>\n" + html(table_of(summary, *differences));
      if (i < shown_)
        all += "<h3>" + html(values.title) + "</h3>\n" + tables;
      else
        all += "<details><summary>" + html(values.title) + "</summary>\n" + tables + "</details>\n";
    }
    all += "<ul class=notes>\n";
    for (const std::string& note : notes(summary)) all += "<li>" + html(note) + "</li>\n";
    return all + "</ul>\n";
  }

  std::string plots() const {
    const std::vector<PlotSpec> asked = !options_.plots.empty()        ? options_.plots
                                        : !experiment_.plots().empty() ? experiment_.plots()
                                                                       : default_plots(experiment_);
    std::vector<Figure> figures;
    for (const PlotSpec& spec : asked)
      figures.push_back(options_.plotters.at(spec.kind)(spec, results_));
    return figures_html(figures);
  }

  /// The design, and every replicate with its values.
  std::string trials() const {
    const Summary& summary = view_.summary;
    HtmlTable table{.filter = true};
    table.columns.push_back({"#", true});
    table.columns.push_back({"state"});
    for (const std::string& factor : summary.by) table.columns.push_back({factor, true});
    table.columns.push_back({"intervention"});
    for (const std::string& factor : summary.replicates) table.columns.push_back({factor, true});
    std::vector<Figures> figures;
    for (std::size_t i = 0; i < summary.quantities.size(); ++i) {
      figures.emplace_back(summary, i);
      table.columns.push_back({summary.quantities[i].label, true});
      if (i < shown_ && experiment_.alternatives() > 0)
        table.columns.push_back({"minus control", true});
    }
    table.columns.push_back({"trial"});
    for (const Replicate& replicate : view_.replicates) {
      const SummaryRow& row = summary.rows[replicate.row];
      HtmlTable::Row line{.style = row.control ? "control" : ""};
      line.cells = {std::to_string(replicate.number), std::string(look(replicate.standing).text)};
      line.cells.insert(line.cells.end(), row.levels.begin(), row.levels.end());
      line.cells.push_back(row.intervention);
      line.cells.insert(line.cells.end(), replicate.levels.begin(), replicate.levels.end());
      for (std::size_t i = 0; i < summary.quantities.size(); ++i) {
        const Reading& reading = replicate.readings[i];
        const std::string none = lack(replicate, reading);
        line.cells.push_back(none.empty() ? figures[i].number(reading.value) : none);
        if (i >= shown_ || experiment_.alternatives() == 0) continue;
        const double difference = reading.value - reading.control;
        line.cells.push_back(
            none.empty() && std::isfinite(difference) ? figures[i].difference(difference) : "");
      }
      line.cells.push_back(replicate.trial.brief());
      table.rows.push_back(std::move(line));
    }
    return "<p>" + html("Values " + where(summary.quantities.front(), summary.place) + ". ") +
           "Select some by words, and sort by any column.</p>\n" + html(table);
  }

  std::string failures() const {
    const Table table = store_.query(
        "SELECT number, intervention, outcome, step, message FROM trials WHERE experiment = ?1 "
        "AND outcome NOT IN ('done', 'interrupted') ORDER BY number",
        {experiment_.name()});
    const std::string beyond = suspicious();
    if (table.rows.empty()) return "<p>No trial has failed or diverged.</p>\n" + beyond;
    return "<p>What failed is told apart from what was never run, and counted beside n in every "
           "table; its step is the one that failed.</p>\n" +
           html(table_of(table)) + beyond;
  }

  /// Trials that did not fail, and still are not as they should be.
  std::string suspicious() const {
    if (cautions_.empty()) return "";
    HtmlTable table{.columns = {{"number", true}, {"metric"}, {"value", true}, {"what it means"}}};
    for (const Caution& caution : cautions_) {
      for (const auto& [number, value] : caution.values)
        table.rows.push_back({{std::to_string(number), caution.metric, fmt::format("{:.4g}", value),
                               fmt::format("under {}: {}", caution.least, caution.meaning)},
                              ""});
    }
    return "<h3>Not as it should be</h3>\n" + html(table);
  }

  std::string provenance() const {
    std::string all = "<dl>\n";
    const auto entry = [&](const std::string& name, const std::string& text) {
      if (!text.empty()) all += "<dt>" + html(name) + "</dt><dd>" + html(text) + "</dd>\n";
    };
    const Table sums = store_.query(
        "SELECT sum(trained), sum(seconds) FROM (SELECT DISTINCT trial, trained, seconds FROM "
        "trials WHERE experiment = ?1)",
        {experiment_.name()});
    for (const auto& [name, text] : options_.work) entry(name, text);
    if (const auto* trained = std::get_if<std::int64_t>(&sums.rows[0][0]))
      entry("steps trained for these trials", std::to_string(*trained));
    if (const auto* seconds = std::get_if<double>(&sums.rows[0][1]))
      entry("seconds of training", fmt::format("{:.1f}", *seconds));
    for (const auto& [name, text] : ingredients()) entry(name, text);
    all += "</dl>\n";
    const Table runs = store_.query(
        "SELECT id AS run, started, ended, coalesce(outcome, 'under way') AS outcome, version, "
        "host, conflicts, command FROM runs WHERE experiment = ?1 ORDER BY id DESC LIMIT 50",
        {experiment_.name()});
    all += "<h3>Runs</h3>\n" + html(table_of(runs));
    const Table prints = store_.query(
        "SELECT DISTINCT fingerprint FROM runs WHERE experiment = ?1 AND fingerprint <> '{}'",
        {experiment_.name()});
    for (const auto& row : prints.rows) all += fingerprint(std::get<std::string>(row[0]));
    all += "<h3>Metrics</h3>\n" + html(metrics());
    return all + "<details><summary>The experiment file</summary><pre>" +
           html(experiment_.source()) + "</pre></details>\n";
  }

  /// What trials' identities are made of beside conditions, where all of them have the same.
  std::map<std::string, std::string> ingredients() const {
    std::map<std::string, std::string> common = experiment_.ingredients(experiment_.trial(0));
    for (std::size_t v = 1; v < std::min<std::size_t>(experiment_.variations(), 100); ++v) {
      const auto other = experiment_.ingredients(experiment_.trial(v, 0));
      std::erase_if(common, [&](const auto& entry) {
        const auto found = other.find(entry.first);
        return found == other.end() || found->second != entry.second;
      });
    }
    return common;
  }

  static std::string fingerprint(const std::string& json) {
    const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
    std::string all = "<h3>Computed with</h3>\n<dl>\n";
    if (!parsed.is_object()) return all + "<dt>fingerprint</dt><dd>" + html(json) + "</dd></dl>\n";
    for (const auto& [name, value] : parsed.items()) {
      const std::string text = value.is_string()
                                   ? value.get<std::string>()
                                   : value.dump(-1, ' ', false, Json::error_handler_t::replace);
      all += "<dt>" + html(name) + "</dt><dd>" + html(text) + "</dd>\n";
    }
    return all + "</dl>\n";
  }

  HtmlTable metrics() const {
    HtmlTable table{.columns = {{"metric"}, {"better"}, {"definition"}}};
    const std::vector<MetricSpec>& metrics = experiment_.metrics();
    for (const MetricGroup& group : metric_groups(metrics)) {
      const std::size_t shown = group.is_picture() ? 1 : group.count;
      for (std::size_t i = group.first; i < group.first + shown; ++i) {
        const MetricSpec& metric = metrics[i];
        const char* better = metric.better == Better::Higher  ? "higher"
                             : metric.better == Better::Lower ? "lower"
                                                              : "neither";
        const std::string more =
            group.is_picture() ? fmt::format(" and {} more like it", group.count - 1) : "";
        table.rows.push_back({{metric.label + more, better, metric.definition().brief()}, ""});
      }
    }
    return table;
  }

  const Results& results_;
  const Experiment& experiment_;
  const Store& store_;
  const ReportOptions& options_;
  std::size_t shown_;  ///< of the quantities, those that `show` shows
  Results::View view_;
  std::vector<Caution> cautions_;
};

}  // namespace

std::string report_page(const Results& results, const Store& store, const ReportOptions& options) {
  return Report(results, store, options).text();
}

std::string figures_page(const std::string& title, const std::vector<Figure>& figures) {
  Page page{.title = title};
  page.sections.push_back({"plots", "Plots", figures_html(figures)});
  page.foot = "Drawn by perturb " PERTURB_VERSION;
  return page.text();
}

}  // namespace perturb
