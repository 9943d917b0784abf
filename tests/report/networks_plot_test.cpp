// Metrics of networks in cells: what is generated beside what it is held against.
#include <map>
#include <set>

#include <doctest/doctest.h>

#include "perturb/report/plot.h"
#include "report/flows.h"

namespace {

using namespace perturb;

struct Networks : Flows {
  Networks()
      : Flows(R"(
[[metrics]]
kind = "network-accuracy"
of = ["generated", "originals"]
value = ["mean", "sd"]
every = "end"
[[metrics]]
kind = "network-accuracy"
of = ["held-out", "noisy-1e-4"]
every = "end"
[[metrics]]
kind = "novelty"
of = ["generated", "noisy-1e-4"]
every = "end"
)") {}

  void keep_all() {
    for (std::size_t number = 0; number < read.trials(); ++number) {
      keep(number, [&](const std::string& metric, double) {
        return static_cast<double>(metric.size() + number) / 100;
      });
    }
  }
  Figure draw(const std::vector<std::string>& settings) const {
    const PlotSpec spec = read.plot(settings);
    return plotters().at(spec.kind)(spec, results());
  }
};

}  // namespace

TEST_CASE_FIXTURE(Networks, "a view for each metric, a cell for each kind of networks") {
  keep_all();
  const Figure figure = draw({"kind=networks"});
  std::map<std::string, std::set<std::string>> drawn;
  for (const auto& row : figure.data.rows)
    drawn[std::get<std::string>(row[0])].insert(std::get<std::string>(row[1]));
  CHECK(drawn == std::map<std::string, std::set<std::string>>{
                     {"accuracy.mean", {"generated", "originals", "held-out", "noisy-1e-4"}},
                     {"accuracy.sd", {"generated", "originals"}},
                     {"novelty", {"generated", "noisy-1e-4"}}});
  CHECK(figure.data.rows.size() == 2 * 8);  // two variations

  // Networks stand under each other, measured or not, so that views are read down a column.
  const nlohmann::json& views = figure.spec.at("concat");
  REQUIRE(views.size() == 3);
  const nlohmann::json names = {"generated", "originals", "held-out", "noisy-1e-4"};
  for (const nlohmann::json& view : views)
    CHECK(view.at("layer").at(0).at("encoding").at("x").at("scale").at("domain") == names);
}

TEST_CASE_FIXTURE(Networks, "cells have what `show` says, in the place of their network") {
  keep_all();
  const Figure figure = draw({"kind=networks", "metric=*.novelty"});
  CHECK(figure.title == "novelty by network at the end of the run");
  const Results all = results();
  const Summary& summary = all.summary({.metrics = {"generated.novelty", "noisy-1e-4.novelty"}});
  std::size_t compared = 0;
  for (const auto& row : figure.data.rows) {
    const std::size_t metric = std::get<std::string>(row[1]) == "generated" ? 0 : 1;
    const std::size_t variation = compared++ / 2;
    CHECK(std::get<double>(row[3]) == summary.rows[variation].cells[metric].value.mean);
    CHECK(std::get<std::int64_t>(row[4]) == 3);
  }
  CHECK(compared == 4);
}

TEST_CASE_FIXTURE(Networks, "without values, or metrics of networks, there is nothing to draw") {
  const Figure empty = draw({"kind=networks"});
  CHECK(empty.spec.is_null());
  CHECK(empty.caption.find("no trial has a value") != std::string::npos);
  keep_all();
  const Figure none = draw({"kind=networks", "metric=test.loss"});
  CHECK(none.spec.is_null());
  CHECK(none.caption.find("no metric of that name is of networks") != std::string::npos);
}
