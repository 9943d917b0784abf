#include "experiment/reader.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "experiment/base_reader.h"
#include "experiment/every_reader.h"
#include "experiment/intervention_reader.h"
#include "experiment/metric_reader.h"
#include "experiment/override_reader.h"
#include "experiment/plot_reader.h"
#include "experiment/reading.h"
#include "experiment/slurm_settings.h"
#include "experiment/variation_reader.h"

namespace perturb {
namespace {

const std::vector<std::string> kTopLevel = {
    "name",      "description", "plugins",     "task",  "model",      "data",
    "optimizer", "schedule",    "train",       "seeds", "variations", "interventions",
    "metrics",   "plots",       "checkpoints", "slurm"};

std::string read_text(const Reading& reading, const Node& root, std::string_view key) {
  const auto* node = root.find(key);
  if (!node) return {};
  if (node->kind == Node::Kind::String) return node->text;
  reading.problems.error(node->place,
                         fmt::format("\"{}\" must be a string, not {}", key, name_of(node->kind)));
  return {};
}

/// Whoever made the schema has loaded them (plugins_of) already; here is said what is none.
void check_plugins(const Reading& reading, const Node& root) {
  const auto* node = root.find("plugins");
  if (!node) return;
  if (node->kind != Node::Kind::Array) {
    reading.problems.error(
        node->place,
        fmt::format("\"plugins\" must be a list of files, not {}", name_of(node->kind)),
        "write plugins = [\"./libmine.so\"]");
    return;
  }
  for (const auto& item : node->items) {
    if (item.kind == Node::Kind::String && !item.text.empty()) continue;
    reading.problems.error(
        item.place, item.kind == Node::Kind::String
                        ? std::string("a plugin needs the name of a file")
                        : fmt::format("a plugin is named by a string, not {}", name_of(item.kind)));
  }
}

void read_keep(Reading& reading, const Node& node) {
  using Keep = CheckpointPolicy::Keep;
  const std::map<std::string, Keep> kinds = {
      {"needed", Keep::Needed}, {"last", Keep::Last}, {"all", Keep::All}};
  const auto found = node.kind == Node::Kind::String ? kinds.find(node.text) : kinds.end();
  if (found == kinds.end()) {
    reading.problems.error(node.place, "\"keep\" is \"last\", \"all\" or \"needed\"");
    return;
  }
  reading.out.checkpoints.keep = found->second;
}

void read_checkpoints(Reading& reading, const Node& table) {
  if (table.kind != Node::Kind::Table) {
    reading.problems.error(
        table.place, fmt::format("\"checkpoints\" must be a table, not {}", name_of(table.kind)),
        "write [checkpoints] on a line of its own");
    return;
  }
  for (const auto& [key, place, value] : table.entries) {
    if (key == "every") {
      read_every(value, reading.out.checkpoints.every, reading.problems);
      reading.out.checkpoints.stated = true;
    } else if (key == "keep") {
      read_keep(reading, value);
    } else {
      reading.problems.error(place, fmt::format("unknown key \"checkpoints.{}\"", key),
                             suggestion(key, {"every", "keep"}));
    }
  }
}

void check_keys(const Reading& reading, const Node& root) {
  for (const auto& [key, place, value] : root.entries) {
    if (std::find(kTopLevel.begin(), kTopLevel.end(), key) != kTopLevel.end()) continue;
    auto candidates = kTopLevel;
    const auto& paths = reading.fields.paths();
    candidates.insert(candidates.end(), paths.begin(), paths.end());
    reading.problems.error(place, fmt::format("unknown key \"{}\"", key),
                           suggestion(key, candidates));
  }
}

void read_names(Reading& reading, const Node& root) {
  reading.out.name = read_text(reading, root, "name");
  if (reading.out.name.size() > 200) {
    reading.problems.error(root.find("name")->place, "the name has more than 200 bytes");
  }
  reading.out.description = read_text(reading, root, "description");
}

void read_all(Reading& reading, const Node& root, const std::vector<std::string>& overrides) {
  const auto each = [&](const char* key, void (*read)(Reading&, const Node&)) {
    each_table(reading, root, key, [&](const Node& entry) { read(reading, entry); });
  };
  check_keys(reading, root);
  read_names(reading, root);
  check_plugins(reading, root);
  read_overrides(reading, overrides);
  read_base(reading, root);
  each("variations", read_variation);
  finish_overrides(reading);
  each("interventions", read_intervention);
  read_metrics(reading, root);
  each("plots", read_plot);
  if (const auto* node = root.find("checkpoints")) read_checkpoints(reading, *node);
  // Where stages are carried out is nothing of the experiment's: it is checked, and left to
  // whoever asks (slurm_settings_of).
  if (const auto* node = root.find("slurm")) read_slurm_table(*node, "slurm.", reading.problems);
}

}  // namespace

std::string factor_name(const Entered& entered, const Setting& setting) {
  if (setting.path.starts_with("set.")) return setting.path;
  return entered.parts[setting.part].kind + "." + setting.path;
}

std::vector<NamedPlugin> plugins_of(const Source& source) {
  std::vector<Diagnostic> ignored;
  const auto root = parse_toml(std::make_shared<const Source>(source), ignored);
  std::vector<NamedPlugin> all;
  const auto* node = root.find("plugins");
  if (!node || node->kind != Node::Kind::Array) return all;
  for (const auto& item : node->items) {
    if (item.kind == Node::Kind::String && !item.text.empty())
      all.push_back({item.text, item.place});
  }
  return all;
}

Declaration read_declaration(const std::shared_ptr<const Source>& source,
                             const std::filesystem::path& folder,
                             const std::vector<std::string>& overrides, const Fields& fields,
                             Problems& problems) {
  const auto root = parse_toml(source, problems.errors);
  // Of a text that is not TOML nothing else can be said.
  if (problems.any()) return {};
  Reading reading{.fields = fields, .folder = folder, .problems = problems};
  read_all(reading, root, overrides);
  return std::move(reading.out);
}

std::optional<PlotSpec> read_plot(const Declaration& declared, const Node& entry,
                                  const Fields& fields, const std::filesystem::path& folder,
                                  Problems& problems) {
  Reading reading{.fields = fields, .folder = folder, .problems = problems};
  reading.out.metrics = declared.metrics;
  reading.out.interventions = declared.interventions;
  for (const auto& path : declared.variations.paths()) reading.varied[path] = {};
  read_plot(reading, entry);
  if (reading.out.plots.empty()) return std::nullopt;
  return std::move(reading.out.plots.front());
}

}  // namespace perturb
