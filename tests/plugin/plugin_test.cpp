#include "perturb/plugin/plugin.h"

#include <memory>

#include <doctest/doctest.h>

#include "perturb/report/plot.h"

// Stand in for what the training half has; the factories that would make them are not called.
namespace perturb {
class Metric {};
struct Dataset {};
}  // namespace perturb

using namespace perturb;

namespace {

Figure draw_nothing(const PlotSpec&, const Results&) { return {}; }

/// A description that is right.
Component spread() { return {.name = "spread", .help = "How far values scatter."}; }

/// What is said of a description; empty if it is taken.
std::string said_of(const Component& component) {
  Plugin plugin;
  try {
    plugin.plot(component, draw_nothing);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    CHECK(!error.advice().empty());
    return error.what();
  }
  return {};
}

std::string said_of(const Parameter& parameter) {
  auto component = spread();
  component.parameters = {parameter};
  return said_of(component);
}

/// What is said when the plugin's descriptions are added; empty if they are.
std::string collision(const Plugin& plugin, Schema& schema) {
  try {
    plugin.add_to(schema, Origin{"/b.so", sha256("b")});
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a description that no file could be checked against is refused, with the reason") {
  CHECK(said_of(spread()) == "");
  auto wrong = spread();
  wrong.name = "Spread of values";
  CHECK(contains(said_of(wrong), "cannot be named so"));
  wrong = spread();
  wrong.help = "";
  CHECK(contains(said_of(wrong), "has no help"));
  CHECK(contains(said_of(Parameter{.name = "kind", .help = "?"}), "there already"));
  CHECK(contains(said_of(Parameter{.name = "to.b", .help = "?"}), "parameter called"));
  CHECK(contains(said_of(Parameter{.name = "width"}), "without help"));
  CHECK(contains(said_of(Parameter{.name = "width", .fallback = "wide", .help = "?"}),
                 "of another type"));
  wrong = spread();
  wrong.parameters = {{.name = "width", .help = "?"}, {.name = "width", .help = "?"}};
  CHECK(contains(said_of(wrong), "there already"));
}

TEST_CASE("a description without a factory, and one that is there twice, are refused") {
  Plugin plugin;
  CHECK_THROWS_WITH_AS(plugin.plot(spread(), nullptr),
                       "the plot \"spread\" is described, but has no factory", Error);
  plugin.plot(spread(), draw_nothing);
  CHECK_THROWS_WITH_AS(plugin.plot(spread(), draw_nothing),
                       "the plot \"spread\" is described twice", Error);
  CHECK(plugin.components().size() == 1);
}

TEST_CASE("a whole number as the default of a float is the float: they are one value in a file") {
  Plugin plugin;
  auto component = spread();
  component.parameters = {{.name = "width", .fallback = 1, .help = "?", .neutral = 0}};
  plugin.plot(component, draw_nothing);
  const auto& width = plugin.components().front().parameters.front();
  CHECK(width.fallback == Value(1.0));
  CHECK(width.neutral == Value(0.0));
}

TEST_CASE("a data set says how many examples it has, and gets what every data set has") {
  Plugin plugin;
  const DatasetFactory none = [](const Condition&, const auto&) -> Dataset {
    throw Error(ExitCode::Bug, "not called");
  };
  Component points{.name = "points", .help = "Points."};
  CHECK_THROWS_WITH_AS(plugin.data_set(points, none),
                       "the data \"points\" does not say how many examples it has", Error);
  points.facts = [](const Condition&, const auto&) { return DataFacts{.train = 6, .test = 3}; };
  plugin.data_set(points, none);
  CHECK(plugin.components().front().find("batch_size"));
  CHECK(plugin.components().front().find("train_examples"));
}

TEST_CASE("names that are taken are refused, and then nothing of the plugin is added") {
  Schema schema = builtin_schema();
  Plugin first;
  first.plot(spread(), draw_nothing);
  first.add_to(schema, Origin{"/a.so", sha256("a")});
  const Component* added = schema.find(Family::Plot, "spread");
  REQUIRE(added);
  REQUIRE(added->plugin);
  CHECK(added->plugin->file == "/a.so");

  Plugin second;
  second.plot({.name = "unheard-of", .help = "?"}, draw_nothing);
  second.plot(spread(), draw_nothing);
  CHECK(collision(second, schema) == "the plot \"spread\" is that of /a.so already");
  CHECK(!schema.find(Family::Plot, "unheard-of"));

  Plugin third;
  third.plot({.name = "curves", .help = "?"}, draw_nothing);
  CHECK(collision(third, schema) == "the plot \"curves\" is built in already");
}

TEST_CASE("only plots do without the training half") {
  Plugin plots;
  plots.plot(spread(), draw_nothing);
  CHECK(!plots.trains());
  Plugin metrics;
  metrics.metric({.name = "zero", .help = "0."},
                 [](const Parameters&) -> std::unique_ptr<Metric> { return nullptr; });
  CHECK(metrics.trains());
}
