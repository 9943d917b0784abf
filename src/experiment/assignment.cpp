#include "perturb/experiment/assignment.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "perturb/core/error.h"

namespace perturb {
namespace {

using Json = nlohmann::json;

Json json_of(const Value& value) {
  struct Visitor {
    Json operator()(bool v) const { return v; }
    Json operator()(std::int64_t v) const { return v; }
    // JSON has no infinities; a string is no float's other notation, so it cannot be mistaken.
    Json operator()(double v) const {
      return std::isfinite(v) ? Json(v) : Json{{"float", std::isnan(v) ? "nan" : display(v)}};
    }
    Json operator()(const std::string& v) const { return v; }
    Json operator()(const List& v) const {
      Json all = Json::array();
      for (const auto& item : v) all.push_back(json_of(item));
      return all;
    }
  };
  return std::visit(Visitor{}, value.data);
}

Value value_of(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_object()) return std::stod(json.at("float").get<std::string>());
  if (!json.is_array()) return json.get<std::string>();
  List all;
  for (const auto& item : json) all.push_back(value_of(item));
  return all;
}

Json json_of(const std::map<std::string, Value>& values) {
  Json all = Json::object();
  for (const auto& [name, value] : values) all[name] = json_of(value);
  return all;
}

std::map<std::string, Value> values_of(const Json& json) {
  std::map<std::string, Value> all;
  for (const auto& [name, value] : json.items()) all[name] = value_of(value);
  return all;
}

Json json_of(const Condition& condition) {
  Json all = Json::object();
  for (const auto& [path, value] : condition) all[path] = json_of(value);
  return all;
}

Condition condition_of(const Json& json) {
  Condition all;
  for (const auto& [path, value] : json.items()) all.set(path, value_of(value));
  return all;
}

Json json_of(const Operation& operation) {
  Json windows = Json::array();
  for (const auto& w : operation.windows) windows.push_back({w.begin, w.end});
  return {{"kind", operation.kind},
          {"parameters", json_of(operation.parameters)},
          {"at_init", operation.at_init},
          {"windows", std::move(windows)}};
}

Operation operation_of(const Json& json) {
  Operation operation;
  operation.kind = json.at("kind");
  operation.parameters = values_of(json.at("parameters"));
  operation.at_init = json.at("at_init");
  for (const auto& w : json.at("windows")) operation.windows.push_back({w.at(0), w.at(1)});
  return operation;
}

Json json_of(const std::vector<Operation>& operations) {
  Json all = Json::array();
  for (const auto& operation : operations) all.push_back(json_of(operation));
  return all;
}

std::vector<Operation> operations_of(const Json& json) {
  std::vector<Operation> all;
  for (const auto& operation : json) all.push_back(operation_of(operation));
  return all;
}

Digest digest_of(const Json& json) {
  const auto digest = Digest::from_hex(json.get<std::string>());
  if (!digest) throw Error(ExitCode::Usage, "an assignment has a digest that is none");
  return *digest;
}

Json json_of(const Trial& trial) {
  Json stretches = Json::array();
  for (const auto& stretch : trial.timeline.stretches) {
    stretches.push_back({{"begin", stretch.window.begin},
                         {"end", stretch.window.end},
                         {"condition", json_of(stretch.condition)},
                         {"active", json_of(stretch.active)}});
  }
  return {{"id", trial.id.hex()},
          {"condition", json_of(trial.condition)},
          {"operations", json_of(trial.operations)},
          {"at_init", json_of(trial.timeline.at_init)},
          {"stretches", std::move(stretches)}};
}

Trial trial_of(const Json& json) {
  Trial trial;
  trial.id = digest_of(json.at("id"));
  trial.condition = condition_of(json.at("condition"));
  trial.operations = operations_of(json.at("operations"));
  trial.timeline.at_init = operations_of(json.at("at_init"));
  for (const auto& stretch : json.at("stretches")) {
    trial.timeline.stretches.push_back({{stretch.at("begin"), stretch.at("end")},
                                        condition_of(stretch.at("condition")),
                                        operations_of(stretch.at("active"))});
  }
  if (trial.timeline.stretches.empty())
    throw Error(ExitCode::Usage, "an assignment's trial has nothing in force");
  return trial;
}

Json json_of(const MetricSpec& metric) {
  return {{"kind", metric.kind},         {"parameters", json_of(metric.parameters)},
          {"label", metric.label},       {"neutral", metric.neutral},
          {"revision", metric.revision}, {"plugin", metric.plugin}};
}

MetricSpec metric_of(const Json& json) {
  MetricSpec metric;
  metric.kind = json.at("kind");
  metric.parameters = values_of(json.at("parameters"));
  metric.label = json.at("label");
  metric.neutral = json.at("neutral");
  metric.revision = json.at("revision");
  metric.plugin = json.at("plugin");
  return metric;
}

Json json_of(const TrainedNetworks& population) {
  Json networks = Json::array();
  for (const auto& [state, blob] : population.networks)
    networks.push_back({state.hex(), blob ? Json(blob->hex()) : Json()});
  return {{"start", json_of(population.start)}, {"networks", std::move(networks)}};
}

TrainedNetworks networks_of(const Json& json) {
  TrainedNetworks population{condition_of(json.at("start")), {}};
  for (const auto& network : json.at("networks")) {
    auto& one = population.networks.emplace_back();
    one.state = digest_of(network.at(0));
    if (!network.at(1).is_null()) one.blob = digest_of(network.at(1));
  }
  return population;
}

Json json_of(const Ancestor& from) {
  Json json = {{"step", from.step},
               {"state", from.state.hex()},
               {"blob", from.blob ? Json(from.blob->hex()) : Json()},
               {"start", json_of(from.start)}};
  if (!from.generated) return json;
  json["generated"] = *from.generated;
  json["learnt_from"] = json_of(from.learnt_from);
  return json;
}

Ancestor ancestor_of(const Json& json) {
  Ancestor from;
  from.step = json.at("step");
  from.state = digest_of(json.at("state"));
  if (!json.at("blob").is_null()) from.blob = digest_of(json.at("blob"));
  from.start = condition_of(json.at("start"));
  if (!json.contains("generated")) return from;
  from.generated = json.at("generated").get<std::int64_t>();
  from.learnt_from = networks_of(json.at("learnt_from"));
  return from;
}

Json json_of(const Reference& reference) {
  return {{"step", reference.step},
          {"state", reference.state.hex()},
          {"blob", reference.blob ? Json(reference.blob->hex()) : Json()},
          {"start", json_of(reference.start)},
          {"from", reference.from ? json_of(*reference.from) : Json()}};
}

Reference reference_of(const Json& json) {
  Reference reference;
  reference.step = json.at("step");
  reference.state = digest_of(json.at("state"));
  if (!json.at("blob").is_null()) reference.blob = digest_of(json.at("blob"));
  reference.start = condition_of(json.at("start"));
  if (!json.at("from").is_null()) reference.from = ancestor_of(json.at("from"));
  return reference;
}

Json json_of(const Measurement& m) {
  Json json = {
      {"step", m.step}, {"epoch", m.epoch}, {"state", m.state.hex()}, {"metrics", m.metrics}};
  if (m.reference) json["reference"] = json_of(*m.reference);
  return json;
}

Measurement measurement_of(const Json& json) {
  Measurement m;
  m.step = json.at("step");
  m.epoch = json.at("epoch");
  m.state = digest_of(json.at("state"));
  m.metrics = json.at("metrics").get<std::vector<std::size_t>>();
  if (json.contains("reference")) m.reference = reference_of(json.at("reference"));
  return m;
}

}  // namespace

Digest Beginning::identity() const {
  if (!generated) return state;
  return sha256("perturb-generated-1" + framed(state.hex()) + framed(std::to_string(*generated)));
}

std::vector<Predecessor> Trial::inherited() const {
  std::vector<Predecessor> all;
  if (from) all.push_back(*from);
  if (from && from->learnt_from)
    all.insert(all.end(), from->learnt_from->begin(), from->learnt_from->end());
  if (networks) all.insert(all.end(), networks->begin(), networks->end());
  return all;
}

std::vector<Step> Trial::drawn(Step begin, Step end) const {
  std::set<Step> steps;
  for (const auto& operation : operations) {
    if (!operation.draws()) continue;
    for (const auto& w : operation.windows) {
      for (Step step = std::max(begin, w.begin); step < std::min(end, w.end); ++step)
        steps.insert(step);
    }
  }
  return {steps.begin(), steps.end()};
}

std::string to_json(const Assignment& assignment) {
  Json metrics = Json::array();
  for (const auto& metric : assignment.metrics) metrics.push_back(json_of(metric));
  Json measurements = Json::array();
  for (const auto& m : assignment.measurements) measurements.push_back(json_of(m));
  Json saves = Json::array();
  for (const auto& save : assignment.saves)
    saves.push_back({{"step", save.step},
                     {"epoch", save.epoch},
                     {"state", save.state.hex()},
                     {"spare", save.spare}});
  Json drawn = Json::array();
  for (const auto& [step, reference] : assignment.drawn)
    drawn.push_back({step, json_of(reference)});
  const Json all = {
      {"trial", json_of(assignment.trial)},
      {"examples", assignment.examples},
      {"begin", assignment.begin},
      {"end", assignment.end},
      {"start", assignment.start.hex()},
      {"checkpoint", assignment.checkpoint ? Json(assignment.checkpoint->hex()) : Json()},
      {"last", assignment.last.hex()},
      {"heirs", assignment.heirs},
      {"from", assignment.from ? json_of(*assignment.from) : Json()},
      {"population", assignment.population ? json_of(*assignment.population) : Json()},
      {"refused", assignment.refused},
      {"metrics", std::move(metrics)},
      {"measurements", std::move(measurements)},
      {"saves", std::move(saves)},
      {"drawn", std::move(drawn)}};
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Assignment assignment_from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    Assignment out;
    out.trial = trial_of(json.at("trial"));
    out.examples = json.at("examples");
    out.begin = json.at("begin");
    out.end = json.at("end");
    out.start = digest_of(json.at("start"));
    if (!json.at("checkpoint").is_null()) out.checkpoint = digest_of(json.at("checkpoint"));
    out.last = digest_of(json.at("last"));
    out.heirs = json.at("heirs");
    if (!json.at("from").is_null()) out.from = ancestor_of(json.at("from"));
    if (!json.at("population").is_null()) out.population = networks_of(json.at("population"));
    out.refused = json.at("refused");
    for (const auto& metric : json.at("metrics")) out.metrics.push_back(metric_of(metric));
    for (const auto& m : json.at("measurements")) {
      out.measurements.push_back(measurement_of(m));
      for (const auto metric : out.measurements.back().metrics) {
        if (metric >= out.metrics.size())
          throw Error(ExitCode::Usage, "an assignment measures a metric that it does not have");
      }
    }
    for (const auto& save : json.at("saves"))
      out.saves.push_back(
          {save.at("step"), save.at("epoch"), digest_of(save.at("state")), save.at("spare")});
    for (const auto& one : json.at("drawn"))
      out.drawn.emplace(one.at(0).get<Step>(), reference_of(one.at(1)));
    return out;
  } catch (const Json::exception& error) {
    throw Error(ExitCode::Usage, std::string("not an assignment: ") + error.what());
  } catch (const std::logic_error&) {  // of std::stod
    throw Error(ExitCode::Usage, "not an assignment: a number is none");
  }
}

}  // namespace perturb
