#include "experiment/reader.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "experiment/slurm_settings.h"
#include "perturb/core/name_pattern.h"
#include "perturb/experiment/noise_curve.h"

namespace perturb {
namespace {

const std::vector<std::string> kTopLevel = {
    "name",      "description", "plugins",     "task",  "model",      "data",
    "optimizer", "schedule",    "train",       "seeds", "variations", "interventions",
    "metrics",   "plots",       "checkpoints", "slurm"};

/// A trial of an experiment is measured by all of its metrics.
constexpr std::size_t kMostMetrics = 1000;

std::string section_of(const std::string& path) { return path.substr(0, path.find('.')); }
std::string key_of(const std::string& path) { return path.substr(path.find('.') + 1); }

const Section* find_section(std::string_view name) {
  for (const auto& section : sections()) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

class Reader {
 public:
  Reader(const Fields& fields, const std::filesystem::path& folder, Problems& problems)
      : fields_(fields), folder_(folder), problems_(problems) {}

  Declaration read(const Node& root, const std::vector<std::string>& overrides) {
    for (const auto& [key, place, value] : root.entries) {
      if (std::find(kTopLevel.begin(), kTopLevel.end(), key) != kTopLevel.end()) continue;
      auto candidates = kTopLevel;
      candidates.insert(candidates.end(), fields_.paths().begin(), fields_.paths().end());
      problems_.error(place, fmt::format("unknown key \"{}\"", key), suggestion(key, candidates));
    }
    out_.name = text(root, "name");
    if (out_.name.size() > 200) {
      problems_.error(root.find("name")->place, "the name has more than 200 bytes");
    }
    out_.description = text(root, "description");
    check_plugins(root);
    read_overrides(overrides);
    read_base(root);
    each_table(root, "variations", [this](const Node& entry) { read_variation(entry); });
    finish_overrides();
    each_table(root, "interventions", [this](const Node& entry) { read_intervention(entry); });
    read_metrics(root);
    each_table(root, "plots", [this](const Node& entry) { read_plot(entry); });
    if (const auto* node = root.find("checkpoints")) read_checkpoints(*node);
    // Where stages are carried out is nothing of the experiment's: it is checked, and left to
    // whoever asks (slurm_settings_of).
    if (const auto* node = root.find("slurm")) read_slurm_table(*node, "slurm.", problems_);
    return std::move(out_);
  }

  /// A plot of what was declared already.
  std::optional<PlotSpec> read_plot(const Declaration& declared, const Node& entry) {
    out_.metrics = declared.metrics;
    out_.interventions = declared.interventions;
    for (const auto& path : declared.variations.paths()) varied_[path] = {};
    read_plot(entry);
    if (out_.plots.empty()) return std::nullopt;
    return std::move(out_.plots.front());
  }

 private:
  std::string text(const Node& root, std::string_view key) {
    const auto* node = root.find(key);
    if (!node) return {};
    if (node->kind == Node::Kind::String) return node->text;
    problems_.error(node->place,
                    fmt::format("\"{}\" must be a string, not {}", key, name_of(node->kind)));
    return {};
  }

  /// Whoever made the schema has loaded them (plugins_of) already; here is said what is none.
  void check_plugins(const Node& root) {
    const auto* node = root.find("plugins");
    if (!node) return;
    if (node->kind != Node::Kind::Array) {
      problems_.error(
          node->place,
          fmt::format("\"plugins\" must be a list of files, not {}", name_of(node->kind)),
          "write plugins = [\"./libmine.so\"]");
      return;
    }
    for (const auto& item : node->items) {
      if (item.kind == Node::Kind::String && !item.text.empty()) continue;
      problems_.error(item.place, item.kind == Node::Kind::String
                                      ? std::string("a plugin needs the name of a file")
                                      : fmt::format("a plugin is named by a string, not {}",
                                                    name_of(item.kind)));
    }
  }

  /// Every table of an array of tables; anything else there is an error.
  void each_table(const Node& root, const std::string& key,
                  const std::function<void(const Node&)>& read) {
    const auto* node = root.find(key);
    if (!node) return;
    if (node->kind != Node::Kind::Array) {
      problems_.error(node->place, fmt::format("\"{}\" is a list of tables", key),
                      fmt::format("write [[{}]] with two brackets", key));
      return;
    }
    for (const auto& item : node->items) {
      if (item.kind == Node::Kind::Table) {
        read(item);
      } else {
        problems_.error(item.place, fmt::format("an entry of \"{}\" must be a table, not {}", key,
                                                name_of(item.kind)));
      }
    }
  }

  void unknown(const std::string& path, const Place& place) {
    // Within a known section only its own keys are near.
    std::vector<std::string> candidates;
    for (const auto& known : fields_.paths()) {
      if (section_of(known) == section_of(path)) candidates.push_back(known);
    }
    if (candidates.empty()) {
      candidates = fields_.paths();
      for (const auto& section : sections()) candidates.emplace_back(section.name);
    }
    problems_.error(place, fmt::format("unknown key \"{}\"", path), suggestion(path, candidates));
  }

  // ---- the base condition

  void read_base(const Node& root) {
    for (const auto& section : sections()) {
      const auto* table = root.find(section.name);
      if (!table) continue;
      if (table->kind != Node::Kind::Table) {
        problems_.error(
            table->place,
            fmt::format("\"{}\" must be a table, not {}", section.name, name_of(table->kind)),
            fmt::format("write [{}] on a line of its own", section.name));
        continue;
      }
      const Component* component = own_kind(section, *table);
      for (const auto& [key, place, value] : table->entries) {
        read_base_field(section, component, key, place, value);
      }
    }
  }

  const Component* own_kind(const Section& section, const Node& table) {
    if (!section.has_kind) return fields_.schema().find(section.family, "");
    const auto* kind = table.find("kind");
    const auto name = kind && kind->kind == Node::Kind::String
                          ? kind->text
                          : std::string(default_kind(section.family));
    return fields_.schema().find(section.family, name);
  }

  const Component* overriding_kind(const Section& section) {
    for (const auto& one : overrides_) {
      if (one.path == section.kind_path)
        return fields_.schema().find(section.family, one.values.front().text);
    }
    return nullptr;
  }

  void read_base_field(const Section& section, const Component* component, const std::string& key,
                       const Place& place, const Node& value) {
    const auto path = fmt::format("{}.{}", section.name, key);
    const auto* parameter = fields_.find(path);
    if (!parameter) return unknown(path, place);
    if (component && key != "kind" && !component->find(key)) {
      // An override may make the section of a kind that has it.
      if (const auto* other = overriding_kind(section); other && other->find(key))
        component = other;
    }
    if (component && key != "kind" && !component->find(key)) {
      std::vector<std::string> own;
      for (const auto& p : component->parameters) own.push_back(p.name);
      problems_.error(
          place,
          fmt::format("{} \"{}\" has no parameter \"{}\"", section.name, component->name, key),
          nearest(key, own).empty() ? fmt::format("it belongs to: {}", fields_.kinds_with(path))
                                    : suggestion(key, own));
      return;
    }
    // The parameter as this kind has it: the same name may have another range elsewhere.
    if (component && key != "kind") parameter = component->find(key);
    if (value.kind == Node::Kind::Table && value.entries.size() == 1 &&
        !is_table(parameter->type)) {
      problems_.error(value.place, fmt::format("\"{}\" has one value in the base condition", path),
                      "levels belong under [[variations]] or [[interventions]]");
      return;
    }
    if (auto typed = coerce(value, *parameter, path, folder_, problems_)) {
      note_unsupported(section, component, key, *typed, value.place);
      out_.base[path] = {std::move(*typed), place};
    }
  }

  void note_unsupported(const Section& section, const Component* component, const std::string& key,
                        const Value& value, const Place& place) {
    if (key == "kind") component = fields_.schema().find(section.family, value.as_string());
    if (!component || !component->unsupported) return;
    const auto reason = component->unsupported({{key, value}});
    if (!reason.empty()) out_.unsupported.push_back({place, reason, {}, false});
  }

  // ---- overrides

  void read_overrides(const std::vector<std::string>& texts) {
    for (const auto& each : texts) {
      auto one = parse_override(each, problems_.errors);
      if (one.values.empty()) continue;
      if (!fields_.find(one.path)) {
        unknown(one.path, one.place);
        continue;
      }
      const bool twice = std::any_of(overrides_.begin(), overrides_.end(),
                                     [&](const Override& other) { return other.path == one.path; });
      if (twice) problems_.error(one.place, fmt::format("\"{}\" is overridden twice", one.path));
      overrides_.push_back(std::move(one));
    }
  }

  /// The override's values as the node of a key with levels: one value stays itself.
  static Node levels_node(const Override& one) {
    if (one.values.size() == 1) return one.values.front();
    Node each;
    each.kind = Node::Kind::Array;
    each.place = one.values.front().place;
    each.items = one.values;
    Node table;
    table.place = each.place;
    table.entries.push_back({"each", each.place, std::move(each)});
    return table;
  }

  /// What no variation took up: several values or levels become a variation, one is the base's.
  void finish_overrides() {
    for (const auto& one : overrides_) {
      if (overridden_.contains(one.path)) continue;
      const auto* parameter = fields_.find(one.path);
      const auto& first = one.values.front();
      const bool levels =
          one.values.size() > 1 || (first.kind == Node::Kind::Table && !is_table(parameter->type));
      if (levels) {
        Key key{one.path, one.place,
                read_levels(levels_node(one), *parameter, one.path, folder_, problems_)};
        varied(one.path, one.place);
        for (auto& axis : axes_of({std::move(key)}, false, one.place, problems_)) {
          out_.variations.axes.push_back(std::move(axis));
        }
      } else if (auto value = coerce(first, *parameter, one.path, folder_, problems_)) {
        if (const auto* section = find_section(section_of(one.path))) {
          note_unsupported(*section, nullptr, key_of(one.path), *value, first.place);
        }
        out_.base[one.path] = {std::move(*value), one.place};
      }
    }
  }

  // ---- variations and interventions

  /// Calls `leaf(path, place, node)` for every condition key below a table, and says which keys
  /// are unknown. `prefix` is the path so far.
  void walk(const Node& table, const std::string& prefix,
            const std::function<void(const std::string&, const Place&, const Node&)>& leaf) {
    for (const auto& [key, place, value] : table.entries) {
      const auto path = prefix.empty() ? key : prefix + "." + key;
      if (fields_.find(path)) {
        leaf(path, place, value);
      } else if (prefix.empty() && find_section(key) && value.kind == Node::Kind::Table) {
        walk(value, key, leaf);
      } else if (prefix.empty() && find_section(key)) {
        problems_.error(
            place, fmt::format("\"{}\" is a section: one of its keys can have levels", key),
            fmt::format("write for instance {}.kind = [...], or any_of = [{{...}}, {{...}}] for "
                        "several keys together",
                        key));
      } else {
        unknown(path, place);
      }
    }
  }

  bool read_zip(const Node& entry) {
    const auto* node = entry.find("zip");
    if (!node) return false;
    if (node->kind == Node::Kind::Bool) return node->boolean;
    problems_.error(node->place,
                    fmt::format("\"zip\" must be true or false, not {}", name_of(node->kind)));
    return false;
  }

  void varied(const std::string& path, const Place& place) {
    const auto [at, fresh] = varied_.emplace(path, place);
    if (fresh) return;
    problems_.error(place, fmt::format("\"{}\" varies twice", path),
                    fmt::format("it already varies in line {} of {}", at->second.line,
                                at->second.source ? at->second.source->name : ""));
  }

  void read_variation(const Node& entry) {
    const auto axes = read_product(entry, false);
    for (const auto& axis : axes) out_.variations.axes.push_back(axis);
  }

  /// The keys of a table multiplied (or zipped), with `any_of` as one more axis.
  std::vector<Axis> read_product(const Node& entry, bool inside_any_of) {
    std::vector<Key> keys;
    Node plain = entry;
    std::erase_if(plain.entries,
                  [](const Entry& e) { return e.key == "zip" || e.key == "any_of"; });
    walk(plain, "", [&](const std::string& path, const Place& place, const Node& node) {
      if (!inside_any_of) varied(path, place);
      const auto* parameter = fields_.find(path);
      const auto found = std::find_if(overrides_.begin(), overrides_.end(),
                                      [&](const Override& one) { return one.path == path; });
      if (found == overrides_.end()) {
        keys.push_back({path, place, read_levels(node, *parameter, path, folder_, problems_)});
        return;
      }
      if (inside_any_of) {
        problems_.error(
            found->place,
            fmt::format("\"{}\" varies inside any_of, so no single override can replace it", path),
            "change it in the file");
      }
      overridden_.insert(path);
      keys.push_back(
          {path, place, read_levels(levels_node(*found), *parameter, path, folder_, problems_)});
    });
    const bool zip = read_zip(entry);
    auto axes = axes_of(std::move(keys), zip, entry.place, problems_);
    if (const auto* any_of = entry.find("any_of")) {
      if (inside_any_of) {
        problems_.error(any_of->place, "any_of inside any_of", "list the sub-grids side by side");
      } else {
        axes.push_back(read_any_of(*any_of));
      }
    }
    return axes;
  }

  Axis read_any_of(const Node& node) {
    Axis axis;
    if (node.kind != Node::Kind::Array || node.items.empty()) {
      problems_.error(node.place, "any_of takes a list of tables",
                      "write any_of = [{ ... }, { ... }]");
      return axis;
    }
    std::map<std::string, Place> all;
    for (const auto& item : node.items) {
      if (item.kind != Node::Kind::Table) {
        problems_.error(item.place, fmt::format("any_of takes tables, not {}", name_of(item.kind)));
        continue;
      }
      Grid grid{read_product(item, true)};
      if (grid.size() > kGridLimit || axis.choices.size() + grid.size() > kGridLimit) {
        problems_.error(item.place, fmt::format("any_of has more than {} points", kGridLimit));
        return axis;
      }
      for (std::size_t i = 0; i < grid.size(); ++i) {
        Choice choice;
        for (const auto* setting : grid.at(i)) choice.push_back(*setting);
        axis.choices.push_back(std::move(choice));
      }
      for (const auto& path : grid.paths()) all.emplace(path, item.place);
    }
    for (const auto& [path, place] : all) varied(path, place);
    return axis;
  }

  void read_intervention(const Node& entry) {
    if (const auto* together = entry.find("together")) return read_together(entry, *together);
    Entered out;
    out.place = entry.place;
    if (!add_part(entry, out)) return;
    check_together(out);
    out_.interventions.push_back(std::move(out));
  }

  /// One intervention that does several things; with `alone`, each of them by itself as well.
  void read_together(const Node& entry, const Node& together) {
    for (const auto& [key, place, value] : entry.entries) {
      if (key == "together" || key == "alone") continue;
      problems_.error(place, fmt::format("\"{}\" cannot stand beside \"together\"", key),
                      "write it into each of the tables that act together");
    }
    if (together.kind != Node::Kind::Array || together.items.size() < 2) {
      problems_.error(together.place, "\"together\" takes a list of two tables or more",
                      "write together = [{ ... }, { ... }], each as an intervention of its own");
      return;
    }
    const auto* alone = entry.find("alone");
    if (alone && alone->kind != Node::Kind::Bool) {
      problems_.error(alone->place,
                      fmt::format("\"alone\" must be true or false, not {}", name_of(alone->kind)));
      return;
    }
    Entered all;
    all.place = entry.place;
    for (const auto& item : together.items) {
      if (item.kind != Node::Kind::Table) {
        problems_.error(item.place,
                        fmt::format("\"together\" takes tables, not {}", name_of(item.kind)));
        continue;
      }
      if (alone && alone->boolean) read_intervention(item);
      add_part(item, all);
    }
    if (all.parts.size() != together.items.size()) return;
    check_together(all);
    out_.interventions.push_back(std::move(all));
  }

  /// Adds what a table says to the intervention; false when that cannot be told.
  bool add_part(const Node& entry, Entered& out) {
    const auto* kind = entry.find("kind");
    const auto* set = entry.find("set");
    if (kind && kind->kind != Node::Kind::String) {
      problems_.error(kind->place,
                      fmt::format("\"kind\" must be a string, not {}", name_of(kind->kind)));
      return false;
    }
    if (!kind && !set) {
      problems_.error(
          entry.place, "an intervention says what it does",
          "write set.<key> = ..., or kind = \"...\"; `perturb list interventions` shows the kinds");
      return false;
    }
    Part part;
    part.place = entry.place;
    part.kind = kind ? kind->text : "set";
    part.component = fields_.schema().find(Family::Intervention, part.kind);
    if (!part.component) {
      problems_.error(kind ? kind->place : entry.place,
                      fmt::format("there is no intervention \"{}\"", part.kind),
                      suggestion(part.kind, fields_.schema().names(Family::Intervention)));
      return false;
    }
    if (set && part.kind != "set") {
      problems_.error(set->place, fmt::format("intervention \"{}\" does not set fields", part.kind),
                      "write an entry of its own for set");
      return false;
    }
    std::vector<Key> keys;
    if (set) read_set(*set, entry.find("when") != nullptr, keys);
    for (const auto& p : part.component->parameters) {
      if (p.fallback) part.defaults[p.name] = *p.fallback;
    }
    for (const auto& [key, place, value] : entry.entries) {
      if (key == "kind" || key == "set" || key == "zip") continue;
      if (key == "when") {
        keys.push_back({"when", place, read_when(value, problems_)});
        refuse_init(*part.component, keys.back());
      } else if (const auto* p = part.component->find(key)) {
        keys.push_back({key, place, read_absolute(value, *p, key)});
      } else {
        auto own = std::vector<std::string>{"kind", "when", "zip", "set"};
        for (const auto& each : part.component->parameters) own.push_back(each.name);
        problems_.error(place,
                        fmt::format("intervention \"{}\" has no parameter \"{}\"", part.kind, key),
                        suggestion(key, own));
      }
    }
    for (const auto& p : part.component->parameters) {
      const bool given =
          std::any_of(keys.begin(), keys.end(), [&](const Key& k) { return k.path == p.name; });
      if (!p.fallback && !given) {
        problems_.error(entry.place,
                        fmt::format("intervention \"{}\" needs \"{}\"", part.kind, p.name), p.help);
      }
    }
    for (auto& axis : axes_of(std::move(keys), read_zip(entry), entry.place, problems_)) {
      for (auto& choice : axis.choices) {
        for (auto& setting : choice) setting.part = out.parts.size();
      }
      out.grid.axes.push_back(std::move(axis));
    }
    out.parts.push_back(std::move(part));
    return true;
  }

  /// What acts on steps has no meaning at init.
  void refuse_init(const Component& component, const Key& key) {
    if (component.moment == Moment::Init) return;
    for (const auto& level : key.levels) {
      if (level.when.kind != When::Kind::Init) continue;
      problems_.error(
          level.place,
          component.name == "set"
              ? "a field cannot be set at \"init\": it is in force over steps"
              : fmt::format("\"{}\" cannot act at \"init\": it acts in steps of training",
                            component.name),
          "leave `when` out for the whole run, or give a window such as [0, 100]");
    }
  }

  std::vector<Level> read_absolute(const Node& value, const Parameter& p, const std::string& key) {
    auto levels = read_levels(value, p, key, folder_, problems_);
    for (const auto& level : levels) {
      if (level.kind == Level::Kind::Value) continue;
      problems_.error(level.place,
                      fmt::format("\"{}\" has nothing that a relative level could start from", key),
                      "scale and add are for fields of the condition");
      return {};
    }
    return levels;
  }

  void read_set(const Node& set, bool has_when, std::vector<Key>& keys) {
    if (set.kind != Node::Kind::Table || set.entries.empty()) {
      problems_.error(set.place, "set needs a key of the condition",
                      "write for instance set.optimizer.lr = [0.1, 0.01]");
      return;
    }
    walk(set, "", [&](const std::string& path, const Place& place, const Node& node) {
      const auto* parameter = fields_.find(path);
      if (section_of(path) == "train") {
        problems_.error(
            place,
            fmt::format("\"{}\" is not part of what a trial is, so no intervention can set it",
                        path),
            "put it in the base condition or override it on the command line");
        return;
      }
      if (has_when && !parameter->live) {
        problems_.error(place, fmt::format("\"{}\" cannot change while a run goes on", path),
                        "leave `when` out to compare whole runs");
        return;
      }
      keys.push_back(
          {"set." + path, place, read_levels(node, *parameter, path, folder_, problems_)});
    });
  }

  /// What each part's parameters must satisfy together, for every point of the entry's grid.
  void check_together(const Entered& entered) {
    for (std::size_t i = 0; i < entered.parts.size(); ++i) check_part(entered, i);
  }

  void check_part(const Entered& entered, std::size_t number) {
    const auto& part = entered.parts[number];
    const auto& component = *part.component;
    if (!component.check && !component.unsupported) return;
    const auto size = std::min(entered.grid.size(), kGridLimit);
    for (std::size_t i = 0; i < size; ++i) {
      auto parameters = part.defaults;
      Place place = part.place;
      for (const auto* setting : entered.grid.at(i)) {
        if (setting->part != number || setting->level.kind != Level::Kind::Value) continue;
        parameters[setting->path] = setting->level.value;
        place = setting->level.place;
      }
      // Required ones that are missing have been reported already.
      const bool complete =
          std::all_of(component.parameters.begin(), component.parameters.end(),
                      [&](const Parameter& p) { return parameters.contains(p.name); });
      if (!complete) return;
      if (const auto wrong = component.check ? component.check(parameters) : ""; !wrong.empty())
        problems_.error(place, wrong);
      const auto reason = component.unsupported ? component.unsupported(parameters) : "";
      if (reason.empty()) continue;
      out_.unsupported.push_back({part.place, reason, {}, false});
      return;
    }
  }

  // ---- metrics and plots

  static std::string label_of(const Component& component,
                              const std::map<std::string, Value>& parameters) {
    std::string label = component.label.empty() ? component.name : component.label;
    std::string rest;
    for (const auto& [name, value] : parameters) {
      const auto hole = "{" + name + "}";
      if (const auto at = label.find(hole); at != std::string::npos) {
        label.replace(at, hole.size(), display(value));
      } else if (const auto* p = component.find(name); p && p->fallback != value) {
        rest += (rest.empty() ? "" : ",") + name + "=" + display(value);
      }
    }
    return rest.empty() ? label : label + "[" + rest + "]";
  }

  static std::string plugin_of(const Component& component) {
    return component.plugin ? component.plugin->digest.hex() : std::string();
  }

  /// Whether it can be measured whichever task a trial is of.
  bool every_task_has(const std::vector<Feature>& needs) const {
    std::set<std::string> kinds;
    constexpr auto kTask = "task.kind";
    if (const auto base = out_.base.find(kTask); base != out_.base.end())
      kinds.insert(base->second.value.as_string());
    for (const auto& axis : out_.variations.axes) {
      for (const auto& choice : axis.choices) {
        for (const auto& setting : choice) {
          if (setting.path == kTask && setting.level.kind == Level::Kind::Value)
            kinds.insert(setting.level.value.as_string());
        }
      }
    }
    return std::ranges::all_of(kinds, [&](const std::string& kind) {
      const auto* task = fields_.schema().find(Family::Task, kind);
      return !task || std::ranges::all_of(needs, [&](Feature feature) {
        return std::ranges::find(task->has, feature) != task->has.end();
      });
    });
  }

  void read_metrics(const Node& root) {
    each_table(root, "metrics", [this](const Node& entry) {
      const auto* component = component_of(entry, Family::Metric);
      if (!component) return;
      for (const auto& one : each_level(entry, *component)) read_metric(one, *component);
    });
    // What everybody looks at first, unless the file says otherwise about the same label.
    for (const auto* on : {"train", "test"}) {
      for (const auto* kind : {"loss", "accuracy"}) {
        const auto* component = fields_.schema().find(Family::Metric, kind);
        if (!component || !every_task_has(component->needs)) continue;
        MetricSpec spec = {
            .kind = kind,
            .parameters = {{"on", on}},
            .label = label_of(*component, {{"on", on}}),
            .every = {},
            .revision = component->revision,
            .plugin = plugin_of(*component),
            .better = component->better,
        };
        const bool listed = std::any_of(out_.metrics.begin(), out_.metrics.end(),
                                        [&](const MetricSpec& m) { return m.label == spec.label; });
        if (listed) continue;
        out_.metrics.push_back(std::move(spec));
        out_.metric_places.push_back(root.place);
      }
    }
  }

  /// The component that an entry's `kind` names, or nothing and an error.
  const Component* component_of(const Node& entry, Family family) {
    const auto* kind = entry.find("kind");
    if (!kind || kind->kind != Node::Kind::String) {
      problems_.error(kind ? kind->place : entry.place,
                      fmt::format("a {} needs a kind", name_of(family)),
                      suggestion("", fields_.schema().names(family)));
      return nullptr;
    }
    const auto* component = fields_.schema().find(family, kind->text);
    if (!component) {
      problems_.error(kind->place,
                      fmt::format("there is no {} \"{}\"", name_of(family), kind->text),
                      suggestion(kind->text, fields_.schema().names(family)));
    }
    return component;
  }

  /// The component's parameters from an entry with defaults filled in; `extra` keys are the
  /// caller's.
  bool read_parameters(const Node& entry, const Component& component,
                       const std::vector<std::string>& extra,
                       std::map<std::string, Value>& parameters) {
    const auto before = problems_.errors.size();
    for (const auto& p : component.parameters) {
      if (p.fallback) parameters[p.name] = *p.fallback;
    }
    for (const auto& [key, place, value] : entry.entries) {
      if (key == "kind" || std::find(extra.begin(), extra.end(), key) != extra.end()) continue;
      if (const auto* p = component.find(key)) {
        if (auto typed = coerce(value, *p, key, folder_, problems_))
          parameters[key] = std::move(*typed);
      } else {
        auto own = extra;
        own.push_back("kind");
        for (const auto& each : component.parameters) own.push_back(each.name);
        problems_.error(place,
                        fmt::format("{} \"{}\" has no parameter \"{}\"", name_of(component.family),
                                    component.name, key),
                        suggestion(key, own));
      }
    }
    for (const auto& p : component.parameters) {
      if (!parameters.contains(p.name) && problems_.errors.size() == before) {
        problems_.error(entry.place,
                        fmt::format("{} \"{}\" needs \"{}\"", name_of(component.family),
                                    component.name, p.name),
                        p.help);
      }
    }
    if (problems_.errors.size() != before) return false;
    if (component.check) {
      if (const auto wrong = component.check(parameters); !wrong.empty()) {
        problems_.error(entry.place, wrong);
        return false;
      }
    }
    if (component.unsupported) {
      if (const auto reason = component.unsupported(parameters); !reason.empty()) {
        // A plot that is not drawn costs no result; anything else would.
        const bool harmless = component.family == Family::Plot;
        if (harmless) {
          problems_.warning(entry.place, reason);
        } else {
          out_.unsupported.push_back({entry.place, reason, {}, false});
        }
      }
    }
    return true;
  }

  /// The entry once for every combination of its parameters' levels: each is a metric of its own.
  std::vector<Node> each_level(const Node& entry, const Component& component) {
    std::vector<Node> all = {entry};
    for (std::size_t i = 0; i < entry.entries.size(); ++i) {
      const auto& [key, place, value] = entry.entries[i];
      const auto* p = component.find(key);
      if (!p || (value.kind != Node::Kind::Array && value.kind != Node::Kind::Table)) continue;
      const auto levels = read_levels(value, *p, key, folder_, problems_);
      std::vector<Node> product;
      for (const auto& one : all) {
        for (const auto& level : levels) {
          product.push_back(one);
          product.back().entries[i].value = node_of(level.value, level.place);
        }
      }
      if (std::any_of(levels.begin(), levels.end(),
                      [](const Level& level) { return level.kind != Level::Kind::Value; })) {
        problems_.error(place, fmt::format("\"{}\" of a metric has nothing that its levels could "
                                           "be relative to",
                                           key));
        return {};
      }
      all = std::move(product);
      if (all.size() > kMostMetrics) {
        problems_.error(entry.place, fmt::format("more than {} metrics", kMostMetrics));
        return {};
      }
    }
    return all;
  }

  static Node node_of(const Value& value, const Place& place) {
    Node node;
    node.place = place;
    if (value.is_list()) {
      node.kind = Node::Kind::Array;
      for (const auto& item : value.as_list()) node.items.push_back(node_of(item, place));
    } else if (value.is_bool()) {
      node.kind = Node::Kind::Bool;
      node.boolean = value.as_bool();
    } else if (value.is_int()) {
      node.kind = Node::Kind::Int;
      node.integer = value.as_int();
    } else if (value.is_float()) {
      node.kind = Node::Kind::Float;
      node.number = value.as_float();
    } else {
      node.kind = Node::Kind::String;
      node.text = value.as_string();
    }
    return node;
  }

  void read_metric(const Node& entry, const Component& component) {
    MetricSpec spec;
    spec.kind = component.name;
    spec.revision = component.revision;
    spec.plugin = plugin_of(component);
    spec.better = component.better;
    if (const auto* every = entry.find("every")) read_every(*every, spec.every);
    if (!read_parameters(entry, component, {"every"}, spec.parameters)) return;
    spec.label = label_of(component, spec.parameters);
    for (const auto& p : component.parameters) {
      if (p.neutral && p.neutral == spec.parameters.at(p.name)) spec.neutral.push_back(p.name);
    }
    const bool twice = std::any_of(out_.metrics.begin(), out_.metrics.end(),
                                   [&](const MetricSpec& m) { return m.label == spec.label; });
    if (twice) {
      problems_.error(entry.place, fmt::format("metric \"{}\" is listed twice", spec.label));
      return;
    }
    out_.metrics.push_back(std::move(spec));
    out_.metric_places.push_back(entry.place);
  }

  static const Node* only_entry(const Node& table, std::string_view key) {
    return table.kind == Node::Kind::Table && table.entries.size() == 1 ? table.find(key) : nullptr;
  }

  void read_every(const Node& node, Every& every) {
    constexpr auto kUsage =
        "write \"epoch\", \"end\", \"never\", a number of steps, { epochs = n }, { log = n } for "
        "steps 1, n, n^2, ..., or a list of steps";
    const auto at_least = [](const Node* number, std::int64_t least) {
      return number && number->kind == Node::Kind::Int && number->integer >= least;
    };
    if (node.kind == Node::Kind::String && node.text == "epoch") {
      every.kind = Every::Kind::Epoch;
    } else if (node.kind == Node::Kind::String && node.text == "end") {
      every.kind = Every::Kind::End;
    } else if (node.kind == Node::Kind::String && node.text == "never") {
      every.kind = Every::Kind::Never;
    } else if (node.kind == Node::Kind::Int && node.integer > 0) {
      every = {Every::Kind::Steps, node.integer, {}};
    } else if (const auto* epochs = only_entry(node, "epochs"); at_least(epochs, 1)) {
      every = {Every::Kind::Epoch, epochs->integer, {}};
    } else if (const auto* ratio = only_entry(node, "log"); at_least(ratio, 2)) {
      every = {Every::Kind::Log, ratio->integer, {}};
    } else if (node.kind == Node::Kind::Array && !node.items.empty() &&
               std::all_of(node.items.begin(), node.items.end(), [](const Node& item) {
                 return item.kind == Node::Kind::Int && item.integer >= 0;
               })) {
      every.kind = Every::Kind::Listed;
      for (const auto& item : node.items) every.steps.push_back(item.integer);
    } else {
      problems_.error(node.place, "\"every\" does not say when", kUsage);
    }
  }

  void read_checkpoints(const Node& table) {
    if (table.kind != Node::Kind::Table) {
      problems_.error(table.place,
                      fmt::format("\"checkpoints\" must be a table, not {}", name_of(table.kind)),
                      "write [checkpoints] on a line of its own");
      return;
    }
    for (const auto& [key, place, value] : table.entries) {
      if (key == "every") {
        read_every(value, out_.checkpoints.every);
        out_.checkpoints.stated = true;
      } else if (key == "keep") {
        read_keep(value);
      } else {
        problems_.error(place, fmt::format("unknown key \"checkpoints.{}\"", key),
                        suggestion(key, {"every", "keep"}));
      }
    }
  }

  void read_keep(const Node& node) {
    using Keep = CheckpointPolicy::Keep;
    const std::map<std::string, Keep> kinds = {
        {"needed", Keep::Needed}, {"last", Keep::Last}, {"all", Keep::All}};
    const auto found = node.kind == Node::Kind::String ? kinds.find(node.text) : kinds.end();
    if (found == kinds.end()) {
      problems_.error(node.place, "\"keep\" is \"last\", \"all\" or \"needed\"");
      return;
    }
    out_.checkpoints.keep = found->second;
  }

  void read_plot(const Node& entry) {
    const auto* component = component_of(entry, Family::Plot);
    if (!component) return;
    PlotSpec spec;
    spec.kind = component->name;
    if (!read_parameters(entry, *component, {"average_over"}, spec.parameters)) return;
    for (const auto& [name, value] : spec.parameters) {
      const Selects selects = component->find(name)->selects;
      const auto* node = entry.find(name);
      const Place& place = node ? node->place : entry.place;
      if (!value.is_list() && selects != Selects::Nothing)
        check_selected(value.as_string(), selects, place);
      if (!value.is_list() || selects == Selects::Nothing) continue;
      for (std::size_t i = 0; i < value.as_list().size(); ++i)
        check_selected(value.as_list()[i].as_string(), selects,
                       node ? node->items[i].place : place);
    }
    if (const auto* over = entry.find("average_over")) {
      if (over->kind != Node::Kind::Array) {
        problems_.error(over->place, "\"average_over\" is a list of keys that vary");
      } else {
        for (const auto& item : over->items) read_average(item, spec);
      }
    }
    out_.plots.push_back(std::move(spec));
  }

  /// What a plot names must be there.
  void check_selected(const std::string& text, Selects selects, const Place& place) {
    if (text.empty()) return;
    if (selects == Selects::Factor) {
      check_varies(text, place);
      return;
    }
    std::vector<std::string> labels;
    for (const auto& metric : out_.metrics) {
      if (metric.every.kind != Every::Kind::Never) labels.push_back(metric.label);
    }
    const bool there = std::any_of(labels.begin(), labels.end(), [&](const std::string& label) {
      return label == text || (selects == Selects::Metrics && matches(text, label));
    });
    // A noise curve is several metrics under one name, which need be none of theirs.
    const std::vector<NoiseCurve> curves = noise_curves(out_.metrics);
    if (selects == Selects::Metrics &&
        std::ranges::find(curves, text, &NoiseCurve::name) != curves.end())
      return;
    if (!there) {
      problems_.error(place, fmt::format("no metric \"{}\" is measured", text),
                      suggestion(text, labels));
    }
  }

  bool check_varies(const std::string& factor, const Place& place) {
    std::vector<std::string> vary;
    for (const auto& [path, where] : varied_) vary.push_back(path);
    for (const auto& entered : out_.interventions) {
      for (const auto& axis : entered.grid.axes) {
        for (const auto& choice : axis.choices) {
          for (const auto& setting : choice) {
            if (setting.path != "when") vary.push_back(factor_name(entered, setting));
          }
        }
      }
    }
    if (std::find(vary.begin(), vary.end(), factor) != vary.end()) return true;
    problems_.error(place, fmt::format("\"{}\" does not vary in this experiment", factor),
                    suggestion(factor, vary));
    return false;
  }

  void read_average(const Node& item, PlotSpec& spec) {
    if (check_varies(item.text, item.place)) spec.average_over.push_back(item.text);
  }

  const Fields& fields_;
  const std::filesystem::path& folder_;
  Problems& problems_;
  Declaration out_;
  std::vector<Override> overrides_;
  std::set<std::string> overridden_;     // paths whose levels in the file were replaced
  std::map<std::string, Place> varied_;  // where each varying path varies
};

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
  return Reader(fields, folder, problems).read(root, overrides);
}

std::optional<PlotSpec> read_plot(const Declaration& declared, const Node& entry,
                                  const Fields& fields, const std::filesystem::path& folder,
                                  Problems& problems) {
  return Reader(fields, folder, problems).read_plot(declared, entry);
}

}  // namespace perturb
