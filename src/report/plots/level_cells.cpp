#include "report/plots/level_cells.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/name_pattern.h"
#include "perturb/report/chart.h"
#include "report/figures.h"
#include "report/plots/cells.h"

namespace perturb {

using nlohmann::json;

namespace {

/// Metrics that differ by their word, and in nothing else.
struct Family {
  std::string name;
  std::vector<std::size_t> metrics;  ///< in Experiment::metrics()
  std::vector<std::string> words;    ///< of each
};

/// What tells the metric apart: the parameter and its value.
struct Word {
  std::string parameter, text;
};
std::optional<Word> word_of(const MetricSpec& metric, const LevelCells& what) {
  for (const std::string& name : what.parameters) {
    const auto found = metric.parameters.find(name);
    if (found == metric.parameters.end() || !found->second.is_string()) continue;
    const std::string& text = found->second.as_string();
    if (!what.leads || metric.label.starts_with(text + ".")) return Word{name, text};
  }
  return std::nullopt;
}

/// Takes `text` out of the list in `label`, with the separator on one of its sides.
void take_out(std::string& label, const std::string& text, char separator) {
  const std::size_t at = label.find(text);
  if (at == std::string::npos) return;
  label.erase(at, text.size());
  if (at < label.size() && label[at] == separator) {
    label.erase(at, 1);
  } else if (at > 0 && label[at - 1] == separator) {
    label.erase(at - 1, 1);
  }
}

/// The label without the word: "distance[to=control]", "accuracy.mean".
std::string family_of(const MetricSpec& metric, const Word& word, bool leads) {
  std::string label = metric.label;
  if (leads) return label.substr(word.text.size() + 1);
  take_out(label, word.parameter + "=" + word.text, ',');
  if (label.ends_with("[]")) label.resize(label.size() - 2);
  return label;
}

std::vector<Family> families(const Experiment& experiment, const std::string& pattern,
                             const LevelCells& what) {
  std::vector<Family> all;
  for (std::size_t i = 0; i < experiment.metrics().size(); ++i) {
    const MetricSpec& metric = experiment.metrics()[i];
    const auto word = word_of(metric, what);
    const bool meant = pattern == metric.label || matches(pattern, metric.label);
    if (!word || !meant || metric.every.kind == Every::Kind::Never) continue;
    const std::string name = family_of(metric, *word, what.leads);
    auto found = std::ranges::find(all, name, &Family::name);
    if (found == all.end()) found = all.insert(all.end(), {name, {}, {}});
    found->metrics.push_back(i);
    found->words.push_back(label_text(word->text == "*" ? "all" : word->text, 24));
  }
  return all;
}

/// Every word once, in the order of the metrics.
std::vector<std::string> words_of(const std::vector<Family>& all) {
  std::vector<std::string> words;
  for (const Family& family : all) {
    for (const std::string& word : family.words) {
      if (std::ranges::find(words, word) == words.end()) words.push_back(word);
    }
  }
  return words;
}

class Cells {
 public:
  Cells(const PlotSpec& spec, const Results& results, LevelCells what)
      : spec_(spec),
        results_(results),
        what_(std::move(what)),
        difference_(flag_of(spec, "difference")) {}

  Figure figure() {
    Figure figure{.title = what_.title};
    figure.data.columns = {"metric", what_.across, "intervention",
                           difference_ ? "difference" : "mean", "n"};
    const auto all = families(results_.experiment(), text_of(spec_, "metric"), what_);
    if (what_.same_places) places_ = words_of(all);
    if (all.empty()) return nothing(std::move(figure), what_.none);
    std::vector<json> views;
    for (const Family& family : all) {
      auto drawn = view(family, figure);
      if (!drawn.is_null()) views.push_back(std::move(drawn));
    }
    if (what_.same_places) stack(views);
    if (views.empty()) {
      figure.caption = missing_;
      return nothing(std::move(figure), "no trial has a value");
    }
    if (all.size() == 1) {
      figure.title = all.front().name + " " + what_.manner;
      views.front().erase("title");
    }
    figure.title += place_ + (difference_ ? ", minus control" : "");
    figure.caption = fmt::format(
        "Cells: {} over trials ({}). An empty cell has no value.",
        difference_ ? "the mean of the paired differences from the control" : "the mean",
        said_n(n_));
    if (!missing_.empty()) figure.caption += " " + missing_;
    figure.spec = chart(figure);
    lay_out(figure.spec, std::move(views), 1, Scales::Own);
    if (figure.spec.contains("concat"))
      figure.spec["resolve"] = {{"scale", {{"color", "independent"}}}};
    return figure;
  }

 private:
  json view(const Family& family, Figure& figure) {
    std::vector<std::string> labels;
    for (const std::size_t metric : family.metrics)
      labels.push_back(results_.experiment().metrics()[metric].label);
    const Summary& summary = results_.summary(summary_options(spec_, labels));
    figure.query +=
        (figure.query.empty() ? "" : ";\n") +
        values_query(results_, summary, difference_ ? Values::Differences : Values::Themselves);
    place_ = " " + where(summary.quantities.front(), summary.place);
    CellGrid grid{.title = family.name,
                  .x_title = what_.across,
                  .across = what_.same_places ? places_ : unique(family.words)};
    for (std::size_t i = 0; i < summary.rows.size(); ++i) add_row(summary, i, family, grid, figure);
    for (std::size_t metric = 0; metric < labels.size(); ++metric) {
      const std::string missing = left_out(summary, metric);
      if (!missing.empty() && missing_.find(missing) == std::string::npos)
        missing_ += (missing_.empty() ? "" : " ") +
                    fmt::format("{}: {}", label_text(labels[metric]), missing);
    }
    if (grid.cells.empty()) return nullptr;
    grid.down = unique(grid.down);
    return cell_view(grid, color_range({grid}, difference_), difference_);
  }

  void add_row(const Summary& summary, std::size_t i, const Family& family, CellGrid& grid,
               Figure& figure) {
    const SummaryRow& row = summary.rows[i];
    if (row.control && difference_) return;
    bool any = false;
    for (std::size_t metric = 0; metric < row.cells.size(); ++metric) {
      const SummaryCell& cell = row.cells[metric];
      const Sample& sample = difference_ ? cell.against.difference : cell.value;
      if (sample.n == 0) continue;
      any = true;
      const Figures figures(summary, metric);
      grid.cells.push_back(
          {place_of(family, metric), grid.down.size(), sample.mean,
           difference_ ? figures.difference(sample.mean) : figures.number(sample.mean)});
      n_.push_back(sample.n);
      figure.data.rows.push_back({family.name, family.words[metric], name_of(summary, row),
                                  sample.mean, static_cast<std::int64_t>(sample.n)});
    }
    if (any) grid.down.push_back(name_of(summary, row));
  }

  /// Where every row is a control, its levels say it all.
  std::string name_of(const Summary& summary, const SummaryRow& row) const {
    const std::string levels = levels_label(summary, row);
    return results_.experiment().alternatives() == 0 && !levels.empty() ? levels
                                                                        : row_label(summary, row);
  }

  /// Views with the same places across are one table: words stand under the last, rows close by.
  /// Numbers stand in the cells, which makes a legend of each view too much.
  static void stack(std::vector<json>& views) {
    for (json& view : views) {
      view["height"] = {{"step", 26}};
      for (json& layer : view["layer"]) {
        json& encoding = layer["encoding"];
        if (layer["mark"]["type"] == "rect") encoding["color"]["legend"] = nullptr;
        if (&view != &views.back())
          encoding["x"]["axis"] = {{"labels", false}, {"ticks", false}, {"title", nullptr}};
      }
    }
  }

  /// Of a metric of the family, across.
  std::size_t place_of(const Family& family, std::size_t metric) const {
    if (!what_.same_places) return metric;
    const auto found = std::ranges::find(places_, family.words[metric]);
    return static_cast<std::size_t>(found - places_.begin());
  }

  static std::vector<std::string> unique(std::vector<std::string> names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto before = names.begin() + static_cast<std::ptrdiff_t>(i);
      const std::string name = names[i];
      for (int n = 2; std::find(names.begin(), before, names[i]) != before; ++n)
        names[i] = fmt::format("{} ({})", name, n);
    }
    return names;
  }

  const PlotSpec& spec_;
  const Results& results_;
  LevelCells what_;
  bool difference_;
  std::vector<std::string> places_;  // of all views, if they have the same
  std::vector<std::size_t> n_;
  std::string missing_;
  std::string place_;
};

}  // namespace

Figure level_cells_figure(const PlotSpec& spec, const Results& results, LevelCells what) {
  return Cells(spec, results, std::move(what)).figure();
}

}  // namespace perturb
