#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/find_trial.h"
#include "cli/wording.h"
#include "perturb/plan/why.h"
#include "perturb/report/metric_group.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

using Json = nlohmann::json;

/// What was measured of one trial: by epoch and metric. NaN where the store has null.
using Values = std::map<std::pair<double, std::string>, double>;

Values values_of(const Store& store, const FoundTrial& trial) {
  Values all;
  store.query("select epoch, metric, value from results where experiment = ? and number = ?",
              {trial.experiment, trial.number},
              {.columns = [](const auto&) {},
               .row =
                   [&](const std::vector<Cell>& row) {
                     const auto* value = std::get_if<double>(&row[2]);
                     all[{std::get<double>(row[0]), std::get<std::string>(row[1])}] =
                         value ? *value : std::nan("");
                     return true;
                   }});
  return all;
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

struct Side {
  FoundTrial found;
  StoredTrial stored;
  Values values;
};

Side side(const Store& store, const std::string& text) {
  Side out;
  out.found = find_trial(store, text);
  std::optional<StoredTrial> stored;
  store.each_trial([&](const StoredTrial& one) {
    if (one.trial == out.found.trial) stored = one;
  });
  if (!stored) {
    throw Error(
        ExitCode::Usage,
        fmt::format("{}:{} has not been carried out yet", out.found.experiment, out.found.number),
        "`perturb run` its experiment first");
  }
  out.stored = *stored;
  out.values = values_of(store, out.found);
  return out;
}

/// The last epoch at which both were measured, and the first at which they differ.
struct Comparison {
  std::optional<double> last;
  std::optional<double> parted;
  std::vector<std::pair<std::string, std::pair<double, double>>> at_last;
};

Comparison compare(const Side& a, const Side& b) {
  Comparison out;
  for (const auto& [what, value] : a.values) {
    const auto other = b.values.find(what);
    if (other == b.values.end()) continue;
    if (out.last != what.first) out.at_last.clear();
    out.last = what.first;
    out.at_last.push_back({what.second, {value, other->second}});
    if (!out.parted && !same(value, other->second)) out.parted = what.first;
  }
  return out;
}

/// The metrics that were compared, as the store describes them; what it does not, by label alone. A
/// trial is compared without its experiment file.
std::vector<MetricSpec> described(const Store& store, const Side& side,
                                  const Comparison& compared) {
  std::map<std::string, Json> known;
  const Table table = store.query(
      "SELECT q.name, m.parameters FROM experiments AS e JOIN experiment_metrics AS q ON "
      "q.experiment = e.id JOIN metrics AS m ON m.id = q.metric WHERE e.name = ?1",
      {side.found.experiment});
  for (const auto& row : table.rows)
    known[std::get<std::string>(row[0])] =
        Json::parse(std::get<std::string>(row[1]), nullptr, /*allow_exceptions=*/false);
  std::vector<MetricSpec> all;
  for (const auto& [label, values] : compared.at_last) {
    MetricSpec spec;
    spec.label = spec.kind = label;
    const auto found = known.find(label);
    if (found != known.end() && found->second.is_object()) {
      const Json kind = found->second.value("kind", Json());
      if (kind.is_string()) spec.kind = kind;
      const Json parameters = found->second.value("parameters", Json::object());
      for (const auto& [name, value] : parameters.items())
        spec.parameters.emplace(
            name, value.is_number()
                      ? Value(value.get<double>())
                      : Value(value.is_string() ? value.get<std::string>() : value.dump()));
    }
    all.push_back(std::move(spec));
  }
  return all;
}

/// A line a metric; of those that are a picture together, one line with the largest difference.
TextTable results_table(const Comparison& compared, const std::vector<MetricSpec>& metrics) {
  TextTable table({{"metric"}, {"a", Align::Right}, {"b", Align::Right}, {"b - a", Align::Right}});
  for (const MetricGroup& group : metric_groups(metrics)) {
    double most = 0;
    for (std::size_t i = group.first; i < group.first + group.count; ++i) {
      const auto& [label, values] = compared.at_last[i];
      const double difference = values.second - values.first;
      most = std::max(most, std::fabs(difference));  // NaN is none
      if (!group.is_picture())
        table.add({label, fmt::format("{:.6g}", values.first), fmt::format("{:.6g}", values.second),
                   fmt::format("{:+.6g}", difference)});
    }
    if (group.is_picture())
      table.add({fmt::format("{} and {} more like it", compared.at_last[group.first].first,
                             group.count - 1),
                 "", "", fmt::format("at most {:.6g}", most)});
  }
  return table;
}

ExitCode diff(Context& context, const std::string& first, const std::string& second) {
  const Store store = Store::open(context.store_folder(""), Store::Access::Read);
  const Side a = side(store, first);
  const Side b = side(store, second);
  const auto different = differences(makeup(a.stored), makeup(b.stored));
  const Comparison compared = compare(a, b);
  if (context.json) {
    Json all = {{"a", a.found.trial.hex()},         {"b", b.found.trial.hex()},
                {"differences", Json::array()},     {"epoch", nullptr},
                {"first_different_epoch", nullptr}, {"results", Json::array()}};
    for (const auto& [name, here, there] : different)
      all["differences"].push_back({{"name", name}, {"a", here}, {"b", there}});
    if (compared.last) all["epoch"] = *compared.last;
    if (compared.parted) all["first_different_epoch"] = *compared.parted;
    for (const auto& [metric, values] : compared.at_last)
      all["results"].push_back({{"metric", metric}, {"a", values.first}, {"b", values.second}});
    context.out.line(all.dump(2, ' ', false, Json::error_handler_t::replace));
    return ExitCode::Done;
  }
  const TextTable::Style style = {
      .color = context.out.color(), .widest_cell = 200, .width = context.out.width()};
  for (const auto& [letter, one] : {std::pair{'a', &a}, std::pair{'b', &b}}) {
    context.out.line(printable(fmt::format(
        "{}  {}  {}:{}, {} at step {}", letter, one->found.trial.brief(), one->found.experiment,
        one->found.number, name_of(one->stored.outcome), one->stored.step)));
  }
  if (different.empty()) {
    context.out.line("\nthey are the same trial");
  } else {
    TextTable table(
        {{"differs in"}, {.title = "a", .flexible = true}, {.title = "b", .flexible = true}});
    for (const auto& [name, here, there] : different)
      table.add({name, here.empty() ? "-" : here, there.empty() ? "-" : there});
    context.out.write("\n" + table.text(style));
  }
  if (!compared.last) {
    context.out.line("\nno metric was measured of both at the same epoch");
    return ExitCode::Done;
  }
  const TextTable results = results_table(compared, described(store, a, compared));
  context.out.line(
      fmt::format("\nat epoch {:g}, the last at which both were measured", *compared.last));
  context.out.write(results.text(style));
  context.out.line(compared.parted
                       ? fmt::format("they first differ at epoch {:g}", *compared.parted)
                       : "nothing that was measured of both differs");
  return ExitCode::Done;
}

}  // namespace

void add_diff(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("diff", "Compare two trials: what they are made of, what came out");
  command->footer(
      "A trial is named by the first digits of its id (at least four) or as EXPERIMENT:NUMBER.\n"
      "Results are compared at the same epoch, that is after the same number of examples.\n\n"
      "Example:\n  perturb diff momentum:0 momentum:3");
  struct Options {
    std::string a;
    std::string b;
  };
  auto options = std::make_shared<Options>();
  command->add_option("A", options->a, "A trial of the store")->required();
  command->add_option("B", options->b, "Another one")->required();
  context.on(command, [&context, options] { return diff(context, options->a, options->b); });
}

}  // namespace perturb
