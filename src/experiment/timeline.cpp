#include "perturb/experiment/timeline.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>

namespace perturb {

bool Operation::draws() const {
  const auto toward = parameters.find("toward");
  return toward != parameters.end() && toward->second != Value("init");
}

std::vector<Window> normalised(std::vector<Window> windows) {
  std::erase_if(windows, [](const Window& w) { return w.begin >= w.end; });
  std::sort(windows.begin(), windows.end());
  std::vector<Window> out;
  for (const auto& w : windows) {
    if (!out.empty() && w.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, w.end);
    } else {
      out.push_back(w);
    }
  }
  return out;
}

namespace {

bool acts(const Operation& operation, Step step) {
  return std::any_of(operation.windows.begin(), operation.windows.end(),
                     [&](const Window& w) { return w.begin <= step && step < w.end; });
}

}  // namespace

Timeline timeline(const Condition& condition, const std::vector<Operation>& operations) {
  Timeline out;
  std::set<Step> starts = {0};
  for (const auto& operation : operations) {
    if (operation.at_init) out.at_init.push_back(operation);
    for (const auto& w : operation.windows) {
      starts.insert(w.begin);
      if (w.end != kForever) starts.insert(w.end);
    }
  }
  for (const Step start : starts) {
    Stretch stretch{{start, kForever}, condition, {}};
    for (const auto& operation : operations) {
      if (operation.at_init || !acts(operation, start)) continue;
      if (operation.kind == "set") {
        for (const auto& [path, value] : operation.parameters) stretch.condition.set(path, value);
      } else {
        stretch.active.push_back({operation.kind, operation.parameters, false, {}});
      }
    }
    if (!out.stretches.empty()) {
      // A boundary at which nothing changes is none.
      if (out.stretches.back().same_as(stretch)) continue;
      out.stretches.back().window.end = start;
    }
    out.stretches.push_back(std::move(stretch));
  }
  return out;
}

namespace {

/// What identity needs to know of a field.
struct FieldRole {
  enum class Part {
    None,    ///< not part of identity
    Static,  ///< fixed before step 0
    Live,    ///< may differ between stretches
  } part = Part::None;
  std::string framed_path;
  std::optional<Value> neutral;
  std::string framed_version;  ///< of the component that a "kind" field names
};

FieldRole role_of(const Schema& schema, const Condition& condition, const std::string& path,
                  const Value& value) {
  FieldRole out;
  out.framed_path = framed(path);
  if (path.ends_with(".kind")) {
    for (const auto& section : sections()) {
      if (path.substr(0, path.size() - 5) != section.name) continue;
      const bool live = section.family == Family::Optimizer || section.family == Family::Schedule;
      out.part = live ? FieldRole::Part::Live : FieldRole::Part::Static;
      if (const auto* component = schema.find(section.family, value.as_string())) {
        out.framed_version = framed(component->version());
      }
    }
    return out;
  }
  const auto* parameter = schema.parameter(condition, path);
  // A field that its section's kind does not have is a leftover of another kind and acts on
  // nothing.
  if (!parameter || !parameter->identity || is_resolved(parameter->type)) return out;
  out.part = parameter->live ? FieldRole::Part::Live : FieldRole::Part::Static;
  out.neutral = parameter->neutral;
  return out;
}

std::string fields(const Condition& condition, const std::vector<FieldRole>& roles,
                   FieldRole::Part part) {
  std::string text;
  auto role = roles.begin();
  for (const auto& [path, value] : condition) {
    const auto& r = *role++;
    // A field at its neutral value is left out, so that adding a knob does not orphan every
    // result computed before the knob existed.
    if (r.part != part || r.neutral == value) continue;
    // Framed by length: otherwise ("a", "bc") and ("ab", "c") would collide.
    text += r.framed_path;
    text += framed(canonical(value));
    text += r.framed_version;
  }
  return framed(text);
}

std::string described(const Schema& schema, const Operation& operation) {
  const auto* component = schema.find(Family::Intervention, operation.kind);
  std::string text = framed(operation.kind);
  text += framed(component ? component->version() : "0");
  for (const auto& [name, value] : operation.parameters) {
    const auto* parameter = component ? component->find(name) : nullptr;
    if (parameter && (parameter->neutral == value || !parameter->identity)) continue;
    text += framed(name) + framed(canonical(value));
  }
  return framed(text);
}

}  // namespace

/// The roles of a condition's fields depend on its paths and kinds alone. An experiment has a
/// handful of such shapes and up to a million conditions, so they are looked up once a shape.
struct Identity::Roles {
  struct Shape {
    Condition example;
    std::vector<FieldRole> roles;
  };

  const std::vector<FieldRole>& of(const Condition& condition) {
    const std::lock_guard lock(mutex);
    for (const auto& shape : shapes) {
      if (same_shape(shape->example, condition)) return shape->roles;
    }
    auto shape = std::make_unique<Shape>();
    shape->example = condition;
    for (const auto& [path, value] : condition) {
      shape->roles.push_back(role_of(*schema, condition, path, value));
    }
    shapes.push_back(std::move(shape));
    return shapes.back()->roles;
  }

  static bool same_shape(const Condition& a, const Condition& b) {
    if (!a.same_paths(b)) return false;
    return std::all_of(sections().begin(), sections().end(), [&](const Section& section) {
      if (!section.has_kind) return true;
      const auto* kind_a = a.find(section.kind_path);
      const auto* kind_b = b.find(section.kind_path);
      return kind_a && kind_b ? *kind_a == *kind_b : kind_a == kind_b;
    });
  }

  const Schema* schema;
  std::mutex mutex;
  std::vector<std::unique_ptr<Shape>> shapes;  // never removed: references into them stay valid
};

Identity::Identity(const Schema& schema) : roles_(std::make_unique<Roles>()) {
  roles_->schema = &schema;
}
Identity::Identity(Identity&&) noexcept = default;
Identity::~Identity() = default;

Past Identity::past(const Timeline& timeline, const Digest& data,
                    const std::optional<Digest>& from) const {
  Past past;
  const auto& first = timeline.stretches.front().condition;
  // What initialisation depends on is in force before step 0: it is part of every state.
  past.before = data.hex();
  past.before += fields(first, roles_->of(first), FieldRole::Part::Static);
  // In place of the field that says so. No intervention has this name: theirs have no dots.
  if (from) past.before += framed(framed("model.from") + framed(from->hex()));
  for (const auto& operation : timeline.at_init)
    past.before += described(*roles_->schema, operation);
  for (const auto& stretch : timeline.stretches) {
    auto text = fields(stretch.condition, roles_->of(stretch.condition), FieldRole::Part::Live);
    for (const auto& operation : stretch.active) text += described(*roles_->schema, operation);
    past.within.push_back(std::move(text));
  }
  return past;
}

namespace {

std::string text_of(const Timeline& timeline, const Past& past, Step until) {
  std::string text = past.before;
  auto within = past.within.begin();
  for (const auto& stretch : timeline.stretches) {
    if (stretch.window.begin >= until) break;
    const auto end = std::min(stretch.window.end, until);
    text += '[' + std::to_string(stretch.window.begin) + ',' +
            (end == kForever ? std::string("end") : std::to_string(end)) + ')';
    text += *within++;
  }
  return text;
}

}  // namespace

Digest trial_digest(const Timeline& timeline, const Past& past) {
  return sha256("perturb-trial-1" + text_of(timeline, past, kForever));
}

Digest state_digest(const Timeline& timeline, const Past& past, Step at) {
  return sha256("perturb-state-1" + text_of(timeline, past, at));
}

}  // namespace perturb
