#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "perturb/core/name_pattern.h"
#include "perturb/report/chart.h"
#include "report/figures.h"
#include "report/plots/cells.h"
#include "report/plots/plots.h"

namespace perturb {

using nlohmann::json;

namespace {

/// Metrics that differ by the layers that they are of, and in nothing else.
struct Family {
  std::string name;
  std::vector<std::size_t> metrics;  ///< in Experiment::metrics()
  std::vector<std::string> layers;   ///< of each
};

/// The layers that the metric is of, if it is of some.
std::optional<std::string> layers_of(const MetricSpec& metric) {
  for (const char* name : {"layers", "layer"}) {
    const auto found = metric.parameters.find(name);
    if (found != metric.parameters.end() && found->second.is_string())
      return found->second.as_string();
  }
  return std::nullopt;
}

/// The label without the layers: "distance[to=control]".
std::string family_of(const MetricSpec& metric, const std::string& layers) {
  std::string label = metric.label;
  for (const char* name : {"layers=", "layer="}) {
    const std::string said = name + layers;
    const std::size_t at = label.find(said);
    if (at == std::string::npos) continue;
    label.erase(at, said.size());
    if (at < label.size() && label[at] == ',') {
      label.erase(at, 1);
    } else if (at > 0 && label[at - 1] == ',') {
      label.erase(at - 1, 1);
    }
    break;
  }
  if (label.ends_with("[]")) label.resize(label.size() - 2);
  return label;
}

std::vector<Family> families(const Experiment& experiment, const std::string& pattern) {
  std::vector<Family> all;
  for (std::size_t i = 0; i < experiment.metrics().size(); ++i) {
    const MetricSpec& metric = experiment.metrics()[i];
    const auto layers = layers_of(metric);
    const bool meant = pattern == metric.label || matches(pattern, metric.label);
    if (!layers || !meant || metric.every.kind == Every::Kind::Never) continue;
    const std::string name = family_of(metric, *layers);
    auto found = std::ranges::find(all, name, &Family::name);
    if (found == all.end()) found = all.insert(all.end(), {name, {}, {}});
    found->metrics.push_back(i);
    found->layers.push_back(label_text(*layers == "*" ? "all" : *layers, 24));
  }
  return all;
}

class Layers {
 public:
  Layers(const PlotSpec& spec, const Results& results)
      : spec_(spec), results_(results), difference_(flag_of(spec, "difference")) {}

  Figure figure() {
    Figure figure{.title = "Layer by layer"};
    figure.data.columns = {"metric", "layers", "intervention", difference_ ? "difference" : "mean",
                           "n"};
    const auto all = families(results_.experiment(), text_of(spec_, "metric"));
    if (all.empty())
      return nothing(std::move(figure),
                     "no metric of that name is of layers; [[metrics]] entries of one kind with "
                     "different `layers` or `layer` are");
    std::vector<json> views;
    for (const Family& family : all) {
      auto drawn = view(family, figure);
      if (!drawn.is_null()) views.push_back(std::move(drawn));
    }
    if (views.empty()) {
      figure.caption = missing_;
      return nothing(std::move(figure), "no trial has a value");
    }
    if (all.size() == 1) {
      figure.title = all.front().name + " layer by layer";
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
    CellGrid grid{.title = family.name, .x_title = "layers", .across = unique(family.layers)};
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
          {metric, grid.down.size(), sample.mean,
           difference_ ? figures.difference(sample.mean) : figures.number(sample.mean)});
      n_.push_back(sample.n);
      figure.data.rows.push_back({family.name, family.layers[metric], row_label(summary, row),
                                  sample.mean, static_cast<std::int64_t>(sample.n)});
    }
    if (any) grid.down.push_back(row_label(summary, row));
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
  bool difference_;
  std::vector<std::size_t> n_;
  std::string missing_;
  std::string place_;
};

}  // namespace

Figure plot_layers(const PlotSpec& spec, const Results& results) {
  return Layers(spec, results).figure();
}

}  // namespace perturb
