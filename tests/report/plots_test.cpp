#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <set>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "perturb/catalog/catalog.h"
#include "perturb/core/error.h"
#include "perturb/plan/declaration.h"
#include "perturb/plan/plan.h"
#include "perturb/report/chart.h"
#include "perturb/report/plot.h"

namespace {

using namespace perturb;
using nlohmann::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

const Schema& schema() {
  static const Schema all = builtin_schema();
  return all;
}

constexpr const char* kBase = R"(
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
batch_size = 64
[optimizer]
kind = "sgd"
[train]
epochs = 3
)";

/// Four replicates of two variations with a control and four interventions; a metric by layer.
constexpr const char* kNormal = R"(
[[variations]]
optimizer.momentum = [0.0, 0.9]
seeds.init = { range = [0, 4] }
[[interventions]]
kind = "perturb-weights"
epsilon = [0.01, 0.1, 1.0]
when = "init"
[[interventions]]
set.optimizer.lr = { scale = 0.5 }
[[metrics]]
kind = "weight-norm"
layers = "fc1*"
[[metrics]]
kind = "weight-norm"
layers = "fc2*"
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.01, 0.1, 0.5]
)";

/// One trial of each: nothing has an interval.
constexpr const char* kSingle = R"(
[[variations]]
optimizer.momentum = [0.5]
seeds.init = [0]
[[interventions]]
kind = "perturb-weights"
epsilon = [0.1]
when = "init"
[[metrics]]
kind = "weight-norm"
layers = "fc1*"
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.2]
)";

using MakeValue = std::function<double(std::size_t number, std::size_t metric, double epoch)>;

/// Figures that look like figures: a course over the run, a share of each trial's own, and an
/// effect of what is done. From integers, so that they are the same everywhere.
double some_value(const Experiment& experiment, std::size_t number, std::size_t metric,
                  double epoch) {
  const MetricSpec& spec = experiment.metrics()[metric];
  const auto strength = spec.parameters.find("strength");
  if (strength != spec.parameters.end()) {
    const auto whole = std::ranges::find(experiment.metrics(), "test.accuracy", &MetricSpec::label);
    const auto at = static_cast<std::size_t>(whole - experiment.metrics().begin());
    return some_value(experiment, number, at, epoch) / (1 + strength->second.as_float());
  }
  // Where a metric stands is part of its values: those under noise came later, and are not counted.
  for (std::size_t before = metric; before-- > 0;)
    metric -= experiment.metrics()[before].parameters.contains("strength") ? 1 : 0;
  const std::size_t stride = 1 + experiment.alternatives();
  const std::size_t seed = (number / stride * 7919 + 13) % 101;
  const std::size_t noise = (number * 7907 + metric * 31 + 5) % 97;
  const double effect = static_cast<double>(number % stride) * 0.02;
  const double share = epoch / (epoch + 1) - effect + static_cast<double>(seed) / 2000 +
                       static_cast<double>(noise) / 5000;
  const bool loss = spec.label.ends_with("loss");
  if (spec.label.starts_with("weight")) return 3 + 2 * share;
  return loss ? 1.5 - share : share;
}

struct Fixture {
  Experiment read;
  Store store = Store::in_memory();
  RunId run = store.begin_run({"test", "test", "0", "{}"});

  explicit Fixture(const std::string& rest = kNormal, const std::string& head = "")
      : read(Experiment::parse(
            {"test.toml", head + kBase + rest}, ".", {}, schema(),
            [](const Condition&) { return DataFacts{.train = 640, .test = 64}; })) {
    declare(store, read, make_plan(read, store));
  }

  void keep(std::size_t number, Outcome outcome, Step step, const MakeValue& value) {
    const Assignment assignment = read.assignment(number);
    Record record;
    record.trial = assignment.trial.id;
    record.outcome = outcome;
    record.step = step;
    for (const Measurement& measurement : assignment.measurements) {
      if (measurement.step > step) continue;
      for (const std::size_t metric : measurement.metrics)
        record.measured.push_back({measurement.step, measurement.epoch, measurement.state,
                                   assignment.metrics[metric].definition(),
                                   value(number, metric, measurement.epoch)});
    }
    store.keep(run, record);
  }
  void keep_all() {
    keep_all([&](std::size_t number, std::size_t metric, double epoch) {
      return some_value(read, number, metric, epoch);
    });
  }
  void keep_all(const MakeValue& value) {
    for (std::size_t number = 0; number < read.trials(); ++number)
      keep(number, Outcome::Done, read.end(read.trial(number)), value);
    store.flush();
  }

  Results results() const {
    std::vector<Digest> trials;
    std::vector<Step> ends;
    for (std::size_t number = 0; number < read.trials(); ++number) {
      trials.push_back(read.trial(number).id);
      ends.push_back(read.end(read.trial(number)));
    }
    return {read, store, std::move(trials), std::move(ends)};
  }
  Figure draw(const std::vector<std::string>& settings) const {
    const PlotSpec spec = read.plot(settings);
    return plotters().at(spec.kind)(spec, results());
  }
};

/// Every kind as the golden files have it.
const std::vector<std::vector<std::string>>& kinds() {
  static const std::vector<std::vector<std::string>> all = {
      {"kind=curves", "metric=test.accuracy"},
      {"kind=contrasts", "metric=test.accuracy"},
      {"kind=heatmap", "metric=test.accuracy", "x=perturb-weights.epsilon", "y=optimizer.momentum"},
      {"kind=dose-response", "metric=test.accuracy"},
      {"kind=layers", "metric=weight_norm*"},
      {"kind=histogram", "metric=test.loss"},
      {"kind=scatter", "x=test.loss", "y=test.accuracy"},
      {"kind=grid", "x=step"},
      {"kind=robustness", "metric=test.accuracy"},
  };
  return all;
}

json cell_of(const Cell& cell) {
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return *integer;
  if (const auto* number = std::get_if<double>(&cell)) return *number;
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return nullptr;
}

json json_of(const Figure& figure) {
  json rows = json::array();
  for (const auto& row : figure.data.rows) {
    json cells = json::array();
    for (const Cell& cell : row) cells.push_back(cell_of(cell));
    rows.push_back(std::move(cells));
  }
  return {{"title", figure.title},          {"caption", figure.caption}, {"query", figure.query},
          {"columns", figure.data.columns}, {"rows", std::move(rows)},   {"spec", figure.spec}};
}

/// The same, but for the last digits of numbers: libraries round differently.
bool alike(const json& a, const json& b) {
  if (a.is_number() && b.is_number()) {
    const double x = a.get<double>();
    const double y = b.get<double>();
    return std::fabs(x - y) <= 1e-9 * std::max({1.0, std::fabs(x), std::fabs(y)});
  }
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_array()) return std::equal(a.begin(), a.end(), b.begin(), alike);
  if (!a.is_object()) return a == b;
  return std::all_of(a.items().begin(), a.items().end(), [&](const auto& item) {
    return b.contains(item.key()) && alike(item.value(), b.at(item.key()));
  });
}

/// Compares with tests/report/golden; PERTURB_ACCEPT renews what is there.
void golden(const std::string& name, const Figure& figure) {
  CAPTURE(name);
  const std::filesystem::path path = "tests/report/golden/" + name + ".json";
  const json now = json_of(figure);
  if (std::getenv("PERTURB_ACCEPT")) {
    std::ofstream(path) << now.dump(1) << "\n";
    return;
  }
  std::ifstream file(path);
  const json then = json::parse(file, nullptr, /*allow_exceptions=*/false);
  REQUIRE_MESSAGE(!then.is_discarded(), "PERTURB_ACCEPT=1 makes it");
  for (const auto& [key, value] : now.items())
    CHECK_MESSAGE((then.contains(key) && alike(value, then[key])),
                  key << " is now " << value.dump().substr(0, 2000));
}

std::string kind_of(const std::vector<std::string>& settings) {
  return settings.front().substr(settings.front().find('=') + 1);
}

/// Calls `use` with every object in the specification.
void each_object(const json& node, const std::function<void(const json&)>& use) {
  if (node.is_object()) use(node);
  if (!node.is_structured()) return;
  for (const auto& item : node) each_object(item, use);
}

}  // namespace

TEST_CASE("the catalog and the plotters have the same kinds") {
  std::vector<std::string> described = schema().names(Family::Plot);
  std::ranges::sort(described);
  CHECK(plotters().names() == described);
}

TEST_CASE("golden: every kind of plot") {
  Fixture normal;
  normal.keep_all();
  const Fixture empty;
  Fixture single(kSingle);
  single.keep_all();
  for (const auto& settings : kinds()) {
    golden(kind_of(settings), normal.draw(settings));
    const Figure nothing = empty.draw(settings);
    golden(kind_of(settings) + "-empty", nothing);
    CHECK(nothing.spec.is_null());
    CHECK(nothing.caption.starts_with("Nothing to draw: "));
    golden(kind_of(settings) + "-single", single.draw(settings));
  }
  golden("heatmap-difference",
         normal.draw({"kind=heatmap", "metric=test.accuracy", "x=perturb-weights.epsilon",
                      "y=optimizer.momentum", "difference=true"}));
  golden("dose-response-difference",
         normal.draw({"kind=dose-response", "metric=test.loss", "difference=true"}));
  golden("contrasts-at-a-step", normal.draw({"kind=contrasts", "metric=test.accuracy", "at=10"}));
  golden("curves-averaged",
         normal.draw({"kind=curves", "metric=test.accuracy", "average_over=optimizer.momentum"}));
}

TEST_CASE("summaries are made once for the same options, and anew for others") {
  Fixture fixture;
  fixture.keep_all();
  const Results results = fixture.results();
  const Summary& loss = results.summary({.metrics = {"test.loss"}});
  CHECK(&results.summary({.metrics = {"test.loss"}}) == &loss);
  CHECK(&results.summary({.metrics = {"train.loss"}}) != &loss);
  CHECK(&results.summary({.metrics = {"test.loss"}, .at = at_from("10")}) != &loss);
  CHECK(&results.summary({.metrics = {"test.loss"}, .by = {{"seeds.init"}}}) != &loss);
  CHECK(&results.summary({.metrics = {"test.loss"}, .average_over = {"optimizer.momentum"}}) !=
        &loss);
}

TEST_CASE("every plot's query is answered by the store") {
  Fixture fixture;
  fixture.keep_all();
  for (const auto& settings : kinds()) {
    std::istringstream queries(fixture.draw(settings).query);
    for (std::string query; std::getline(queries, query, ';');) {
      CAPTURE(query);
      CHECK(fixture.store.query(query).rows.size() > 0);
    }
  }
  for (const char* at : {"at=best", "at=10", "at=epoch:2"}) {
    CAPTURE(at);
    const Figure figure = fixture.draw({"kind=histogram", "metric=test.accuracy", at});
    CHECK(fixture.store.query(figure.query).rows.size() == fixture.read.trials());
  }
}

TEST_CASE("the query of a plot has the values that it draws") {
  Fixture fixture;
  fixture.keep_all();
  fixture.keep(0, Outcome::Diverged, 30, [](auto, auto, auto) { return 0.0; });
  fixture.store.flush();
  const Figure figure = fixture.draw({"kind=scatter", "x=test.loss", "y=test.accuracy"});
  const Table table = fixture.store.query(figure.query);
  std::set<std::pair<std::string, double>> stored;
  for (const auto& row : table.rows)
    stored.emplace(std::get<std::string>(row[4]), std::get<double>(row.back()));
  for (const auto& row : figure.data.rows) {
    CHECK(stored.contains({"test.loss", std::get<double>(row[3])}));
    CHECK(stored.contains({"test.accuracy", std::get<double>(row[4])}));
  }
}

TEST_CASE("what curves and contrasts draw is what `show` says") {
  Fixture fixture;
  fixture.keep_all([&](std::size_t number, std::size_t metric, double epoch) {
    // One value is none, another trial's course is infinite in between.
    if (number == 5 && epoch == 3) return kNaN;
    if (number == 10 && epoch == 1) return std::numeric_limits<double>::infinity();
    return some_value(fixture.read, number, metric, epoch);
  });
  fixture.keep(15, Outcome::Diverged, 30, [](auto, auto, auto) { return 0.0; });
  fixture.store.flush();
  const Summary summary = fixture.results().summary({.metrics = {"test.accuracy"}});

  const Figure curves = fixture.draw({"kind=curves", "metric=test.accuracy"});
  std::size_t compared = 0;
  for (const auto& row : curves.data.rows) {
    if (std::get<double>(row[2]) != 3) continue;
    const SummaryCell& cell = summary.rows[compared++].cells.front();
    CHECK(std::get<std::int64_t>(row[3]) == static_cast<std::int64_t>(cell.value.n));
    CHECK(std::get<double>(row[4]) == cell.value.mean);
    CHECK(std::get<double>(row[5]) == cell.value.mean_interval->low);
    CHECK(std::get<double>(row[6]) == cell.value.mean_interval->high);
  }
  CHECK(compared == summary.rows.size());

  const Figure contrasts = fixture.draw({"kind=contrasts", "metric=test.accuracy"});
  std::size_t next = 0;
  for (const SummaryRow& row : summary.rows) {
    if (row.control) continue;
    const auto& drawn = contrasts.data.rows.at(next++);
    const Sample& difference = row.cells.front().against.difference;
    CHECK(std::get<std::string>(drawn[1]) == row.intervention);
    CHECK(std::get<double>(drawn[2]) == difference.mean);
    CHECK(std::get<double>(drawn[3]) == difference.mean_interval->low);
  }
}

TEST_CASE("robustness draws what `show` says at every strength, and each trial as it is") {
  Fixture fixture;
  fixture.keep_all();
  const Figure figure = fixture.draw({"kind=robustness", "metric=test.accuracy"});
  const std::vector<std::string> labels = {"test.accuracy@0", "test.accuracy@0.01",
                                           "test.accuracy@0.1", "test.accuracy@0.5"};
  const Results results = fixture.results();
  const Summary& summary = results.summary({.metrics = labels});
  REQUIRE(figure.data.rows.size() == summary.rows.size() * labels.size());
  for (std::size_t i = 0; i < figure.data.rows.size(); ++i) {
    const auto& drawn = figure.data.rows[i];
    const Sample& sample = summary.rows[i / 4].cells[i % 4].value;
    CHECK(std::get<double>(drawn[2]) == std::vector<double>{0, 0.01, 0.1, 0.5}[i % 4]);
    CHECK(std::get<double>(drawn[4]) == sample.mean);
    CHECK(std::get<double>(drawn[5]) == sample.mean_interval->low);
  }
  // A panel a momentum, a line a trial in it, and a scale on which 0 has a place.
  REQUIRE(figure.spec["concat"].size() == 2);
  const json& view = figure.spec["concat"][0];
  CHECK(view["layer"][0]["data"]["values"].size() == 4 * 5 * 4);
  CHECK(view["layer"][1]["encoding"]["x"]["scale"] == json{{"type", "symlog"}, {"constant", 0.01}});
  CHECK(view["layer"][1]["encoding"]["color"]["scale"]["range"] == "category");
}

TEST_CASE("robustness of what is not measured under noise says how it would be") {
  Fixture fixture;
  fixture.keep_all();
  const Figure figure = fixture.draw({"kind=robustness", "metric=test.loss"});
  CHECK(figure.spec.is_null());
  CHECK(figure.caption.find("\"noisy-loss\"") != std::string::npos);
  CHECK_THROWS_AS(fixture.draw({"kind=robustness", "metric=test.los"}), InvalidExperiment);
  CHECK_THROWS_AS(fixture.draw({"kind=robustness", "metric=test.accuracy", "at=best"}),
                  InvalidExperiment);
}

TEST_CASE("a profile is over the one number in which its metrics differ") {
  Fixture fixture;
  fixture.keep_all();
  const Figure profile = fixture.draw({"kind=profile", "metric=test.accuracy@*"});
  const Figure robustness = fixture.draw({"kind=robustness", "metric=test.accuracy"});
  CHECK(json_of(profile)["rows"] == json_of(robustness)["rows"]);
  CHECK(profile.data.columns[2] == "strength");
  // No decades here: what is across is as it is.
  const json& across = profile.spec["concat"][0]["layer"][1]["encoding"]["x"]["scale"];
  CHECK_FALSE(across.contains("type"));
  for (const auto& [pattern, why] :
       std::vector<std::pair<std::string, std::string>>{{"*", "several kinds"},
                                                        {"test.loss", "one metric alone"},
                                                        {"weight_norm*", "no number"}}) {
    const Figure none = fixture.draw({"kind=profile", "metric=" + pattern});
    CHECK(none.spec.is_null());
    CHECK_MESSAGE(none.caption.find(why) != std::string::npos, none.caption);
  }
}

TEST_CASE("pictures of what is not measured say what would measure it") {
  Fixture fixture;
  fixture.keep_all();
  for (const std::string kind : {"distributions", "field"}) {
    const Figure figure = fixture.draw({"kind=" + kind});
    CHECK(figure.spec.is_null());
    CHECK(figure.caption.find("[[metrics]]") != std::string::npos);
  }
}

TEST_CASE("captions count what is not drawn") {
  Fixture fixture;
  const auto value = [&](std::size_t number, std::size_t metric, double epoch) {
    return number == 1 ? kNaN : some_value(fixture.read, number, metric, epoch);
  };
  for (std::size_t number = 0; number < fixture.read.trials(); ++number) {
    if (number == 7) continue;
    const bool diverged = number == 2 || number == 3;
    const Outcome outcome = diverged      ? Outcome::Diverged
                            : number == 4 ? Outcome::Crashed
                                          : Outcome::Done;
    fixture.keep(number, outcome, outcome == Outcome::Done ? 30 : 15, value);
  }
  fixture.store.flush();
  for (const auto& settings : kinds()) {
    CAPTURE(kind_of(settings));
    const Figure figure = fixture.draw(settings);
    CAPTURE(figure.caption);
    CHECK(figure.caption.find("of 40 trials: 2 diverged, 1 failed, 1 not finite, 1 to run.") !=
          std::string::npos);
  }
}

TEST_CASE("a history has the states that the experiment asks for, up to the trial's end") {
  Fixture fixture("[[metrics]]\nkind = \"weight-norm\"\nevery = [0, 25, 90]\n");
  fixture.keep_all([](auto, auto, double epoch) { return epoch; });
  // Measured for somebody else, at a state between.
  Fixture other("[[metrics]]\nkind = \"weight-norm\"\nevery = 5\n");
  const Assignment more = other.read.assignment(0);
  Record record{.trial = more.trial.id, .outcome = Outcome::Done, .step = 30};
  for (const Measurement& m : more.measurements)
    record.measured.push_back({m.step, m.epoch, m.state, more.metrics.front().definition(), 7});
  fixture.store.keep(fixture.run, record);
  fixture.store.flush();

  const Results results = fixture.results();
  const MetricHistory& history = results.history(0).front();
  REQUIRE(history.size() == 2);
  CHECK(history[0].step == 0);
  CHECK(history[1].step == 25);
  CHECK(history[1].epoch == 2.5);
  CHECK(results.history(1).front().size() == 3);
}

TEST_CASE("names are literal text, however hostile") {
  const std::string hostile =
      "a.b[0]\"'\\\n\x1b[31m</script><!-- \u202e datum['x'] {{x}} ${x} \u2028";
  Fixture fixture(kNormal);
  fixture.keep_all();
  const Results results = fixture.results();
  Summary summary = results.summary({.metrics = {"test.accuracy"}});
  for (SummaryRow& row : summary.rows) {
    if (!row.control) row.intervention = hostile + row.intervention;
    row.levels = {hostile};
  }
  const std::string long_name(10'000, 'x');
  for (SummaryRow& row : summary.rows) {
    if (!row.control && row.intervention.ends_with("1")) row.intervention = long_name;
  }
  const Panels all = panels(summary);
  REQUIRE(all.panels.size() == 2);
  for (const Panel& panel : all.panels) {
    std::set<std::string> labels;
    for (const Series& series : panel.series) {
      CHECK(series.label.size() < 300);
      CHECK(labels.insert(series.label).second);
      for (const char c : series.label) CHECK(static_cast<unsigned char>(c) >= 0x20);
      CHECK(series.label.find("\u202e") == std::string::npos);
    }
    // The same text, once a reader of JSON has read it.
    const json encoding = series_encoding(panel, 0, Mark::Line);
    const json back = json::parse(encoding.dump());
    CHECK(back == encoding);
    for (std::size_t i = 0; i < panel.series.size(); ++i)
      CHECK(back["color"]["scale"]["domain"][i] == panel.series[i].label);
  }
}

TEST_CASE("an experiment's hostile name reaches titles and queries as it is") {
  Fixture fixture(kNormal, R"(name = "o'b\"r\\ </script>\n\u202e${x} {{y}}")");
  fixture.keep_all();
  const Figure figure = fixture.draw({"kind=grid"});
  CHECK(fixture.store.query(figure.query).rows.size() == 40 * 3 * 2);
  const json back = json::parse(figure.spec.dump());
  CHECK(back == figure.spec);
  CHECK(back["title"]["text"] == R"(o'b"r\ </script>\n\u202e${x} {{y}}: metrics over epochs)");
}

TEST_CASE("fields are generated, and expressions are ours") {
  Fixture fixture;
  fixture.keep_all();
  for (const auto& settings : kinds()) {
    each_object(fixture.draw(settings).spec, [](const json& object) {
      if (object.contains("field")) {
        const std::string name = object["field"];
        CHECK(name.size() <= 3);
        CHECK(name.front() == 'f');
      }
      for (const char* expression : {"filter", "test", "expr", "signal", "calculate"}) {
        if (!object.contains(expression)) continue;
        const std::string text = object[expression];
        CHECK((text.starts_with("isValid(datum.f") || text.starts_with("datum.f")));
      }
    });
  }
}

TEST_CASE("forty interventions are parted into panels that can be read") {
  Fixture fixture(R"(
[[variations]]
seeds.init = [0, 1]
[[interventions]]
set.optimizer.lr = { linspace = [0.01, 0.4, 40] }
)");
  fixture.keep_all();
  const Panels all = panels(fixture.results().summary({}));
  std::set<std::string> seen;
  for (const Panel& panel : all.panels) {
    CHECK(panel.series.size() <= 1 + kSeriesColors);
    CHECK(panel.series.front().control);
    for (const Series& series : panel.series) {
      if (!series.control) CHECK(seen.insert(series.label).second);
    }
  }
  CHECK(seen.size() == 40);
  CHECK(fixture.draw({"kind=curves", "metric=test.loss"}).spec["concat"].size() == 7);
}

TEST_CASE("thinning keeps the ends and every spike, and stays within its bound") {
  std::vector<double> values;
  for (int i = 0; i < 100'000; ++i) values.push_back(i % 1000);
  values[54'321] = 1e9;
  values[54'322] = -1e9;
  const auto kept = thinned(values);
  CHECK(kept.size() <= 2'002);
  CHECK(std::ranges::is_sorted(kept));
  CHECK(kept.front() == 0);
  CHECK(kept.back() == values.size() - 1);
  CHECK(std::ranges::find(kept, 54'321) != kept.end());
  CHECK(std::ranges::find(kept, 54'322) != kept.end());
  CHECK(thinned(std::vector<double>{1, 2, 3}) == std::vector<std::size_t>{0, 1, 2});
  CHECK(thinned({}).empty());
}

TEST_CASE("a thousand replicates are drawn by their mean, and the caption says so") {
  Fixture fixture("[[variations]]\nseeds.init = { range = [0, 100] }\n");
  fixture.keep_all();
  const Figure figure = fixture.draw({"kind=curves", "metric=test.loss"});
  CHECK(figure.caption.find("100 single trials are left out") != std::string::npos);
  CHECK(figure.caption.find("n = 100;") != std::string::npos);
}

TEST_CASE("places of plots are those that `show` takes") {
  Fixture fixture;
  for (const char* word : {"last", "best", "0", "1200", "epoch:5", "epoch:0.5", "epoch:-1",
                           "epoch:", "epoch:nan", "-1", "1.5", "never", "", "epoch:1e999"}) {
    CAPTURE(word);
    const auto accepts = [](const auto& reads) {
      try {
        reads();
        return true;
      } catch (const Error&) {
        return false;
      }
    };
    const bool known = accepts([&] { at_from(word); });
    const std::string plot =
        std::string("[[plots]]\nkind = \"contrasts\"\nmetric = \"test.loss\"\nat = \"") + word +
        "\"\n";
    CHECK(accepts([&] { Fixture with(std::string(kNormal) + plot); }) == known);
  }
}

TEST_CASE("what a plot of the command line names must be there") {
  const Fixture fixture;
  const auto complaint = [&](const std::vector<std::string>& settings) -> std::string {
    try {
      fixture.read.plot(settings);
    } catch (const InvalidExperiment& error) {
      return error.what();
    }
    return "";
  };
  CHECK(complaint({"kind=curve"}).find("did you mean \"curves\"?") != std::string::npos);
  CHECK(complaint({"kind=curves"}).find("needs \"metric\"") != std::string::npos);
  CHECK(complaint({"kind=curves", "metric=test.los"}).find("did you mean \"test.loss\"?") !=
        std::string::npos);
  CHECK(complaint({"kind=heatmap", "metric=test.loss", "x=optimizer.lr", "y=seeds.init"})
            .find("\"optimizer.lr\" does not vary") != std::string::npos);
  CHECK(complaint({"kind=layers", "metric=distance*"}).find("no metric \"distance*\"") !=
        std::string::npos);
  CHECK(complaint({"kind=grid", "metrics=test.loss,test.lost"}).find("test.lost") !=
        std::string::npos);
  CHECK(complaint({"kind=curves", "metric=test.loss", "metric=test.loss"}).find("said twice") !=
        std::string::npos);
  CHECK(complaint({"metric=test.loss"}).find("a plot needs a kind") != std::string::npos);
  CHECK(complaint({"kind=curves", "metric=test.loss", "average_over=seeds.init"}).empty());
  CHECK(fixture.read.plot({"kind=contrasts", "metric=test.loss", "at=20"}).parameters.at("at") ==
        Value("20"));
}

TEST_CASE("the usual plots can all be drawn") {
  Fixture fixture;
  fixture.keep_all();
  const auto specs = default_plots(fixture.read);
  CHECK(specs.size() == 7);  // curves, contrasts and doses of two, and one under noise
  for (const PlotSpec& spec : specs) {
    const Figure figure = plotters().at(spec.kind)(spec, fixture.results());
    CHECK(figure.spec.is_object());
  }
}

TEST_CASE("the control's colour comes once, is ink, and is not the others'") {
  for (const bool dark : {false, true}) {
    const json range = plot_config(dark)["range"];
    CHECK(range["category"].front() == (dark ? "#ffffff" : "#000000"));
    CHECK(std::count(range["category"].begin(), range["category"].end(),
                     range["category"].front()) == 1);
    CHECK(std::count(range["ordinal"].begin(), range["ordinal"].end(), range["category"].front()) ==
          0);
  }
}

TEST_CASE("a factor of interventions may be averaged over, too") {
  Fixture fixture;
  fixture.keep_all();
  const Summary summary = fixture.results().summary(
      {.metrics = {"test.loss"}, .average_over = {"perturb-weights.epsilon"}});
  // A control and two interventions each, for both momenta.
  REQUIRE(summary.rows.size() == 6);
  CHECK(summary.rows[1].trials == 12);
  CHECK(summary.rows[1].cells.front().against.difference.n == 4);  // one control a seed
  CHECK(std::ranges::find(summary.replicates, "perturb-weights.epsilon") !=
        summary.replicates.end());
}
