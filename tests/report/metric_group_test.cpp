#include "perturb/report/metric_group.h"

#include <string>
#include <utility>

#include <doctest/doctest.h>

namespace {

using namespace perturb;

MetricSpec metric(std::string kind, std::map<std::string, Value> parameters) {
  MetricSpec spec;
  spec.kind = std::move(kind);
  spec.parameters = std::move(parameters);
  return spec;
}

}  // namespace

TEST_CASE("many levels of a number, or many layers, are a picture; a few are metrics") {
  std::vector<MetricSpec> points, layers;
  for (int i = 0; i < 11; ++i) {
    points.push_back(metric("point", {{"of", Value("model")}, {"index", Value(i)}}));
    layers.push_back(metric("distance", {{"layers", Value("fc" + std::to_string(i))}}));
  }
  for (auto metrics : {points, layers}) {
    REQUIRE(metric_groups(metrics).size() == 1);
    CHECK(metric_groups(metrics).front().is_picture());
    metrics.pop_back();
    CHECK_FALSE(metric_groups(metrics).front().is_picture());
  }
}

TEST_CASE("what is told apart by words is no picture, however much of it there is") {
  std::vector<MetricSpec> metrics;
  for (int i = 0; i < 20; ++i)
    metrics.push_back(metric("network-accuracy", {{"of", Value("noisy-" + std::to_string(i))}}));
  REQUIRE(metric_groups(metrics).size() == 1);
  CHECK(metric_groups(metrics).front().count == 20);
  CHECK_FALSE(metric_groups(metrics).front().is_picture());
}

TEST_CASE("groups are of one kind, measured alike and side by side; all metrics are in one") {
  std::vector<MetricSpec> metrics = {metric("loss", {}), metric("point", {{"index", Value(0)}}),
                                     metric("point", {{"index", Value(1)}}), metric("loss", {}),
                                     metric("loss", {})};
  metrics.back().every.kind = Every::Kind::End;
  const auto groups = metric_groups(metrics);
  REQUIRE(groups.size() == 4);
  std::size_t next = 0;
  for (const MetricGroup& group : groups) {
    CHECK(group.first == next);
    next += group.count;
  }
  CHECK(next == metrics.size());
  CHECK(groups[1].count == 2);
}
