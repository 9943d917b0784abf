// What is in force when: a trial written as maximal stretches over which nothing changes.
// From it follow identity (laws 1 and 4), the work of a session, and what trials share.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/core/value.h"
#include "perturb/experiment/condition.h"
#include "perturb/experiment/schema.h"

namespace perturb {

/// Counts optimizer steps. The state "at step t" is the one before step t is taken.
using Step = std::int64_t;
inline constexpr Step kForever = std::numeric_limits<Step>::max();

/// Steps [begin, end).
struct Window {
  Step begin = 0;
  Step end = kForever;
  auto operator<=>(const Window&) const = default;
};

/// Sorted, disjoint, not empty, neighbours joined.
std::vector<Window> normalised(std::vector<Window> windows);

/// An intervention with everything resolved: absolute values, windows in steps.
struct Operation {
  std::string kind;  ///< an intervention of the schema; "set" changes fields of the condition
  std::map<std::string, Value> parameters;  ///< for "set": path -> value
  bool at_init = false;         ///< once, after initialisation: part of the state at step 0
  std::vector<Window> windows;  ///< normalised; acts in every step of each; empty if at_init

  bool operator==(const Operation&) const = default;
  /// Whether it draws toward another trial, which `parameters` then names by its id.
  bool draws() const;
};

/// A maximal stretch in which the same fields and the same operations are in force.
struct Stretch {
  Window window;
  Condition condition;            ///< with every "set" carried out
  std::vector<Operation> active;  ///< the other operations in force, in file order, no windows

  bool same_as(const Stretch& other) const {
    return condition == other.condition && active == other.active;
  }
};

struct Timeline {
  std::vector<Operation> at_init;  ///< in file order
  std::vector<Stretch> stretches;  ///< cover [0, kForever) without a gap
};

/// Operations on the same field in the same window: the later one in the file wins. A field
/// that `set` leaves at the value it has changes nothing, in particular not the identity.
Timeline timeline(const Condition& condition, const std::vector<Operation>& operations);

/// What identities are made of: trials share their past as far as these texts and the bounds of
/// their stretches agree.
struct Past {
  std::string before;               ///< fixed before step 0: data, model, operations at init
  std::vector<std::string> within;  ///< in force over each stretch of the timeline
};

Digest trial_digest(const Timeline& timeline, const Past& past);
Digest state_digest(const Timeline& timeline, const Past& past, Step at);

/// Computes identities. Safe to use from several threads.
class Identity {
 public:
  explicit Identity(const Schema& schema);
  Identity(Identity&&) noexcept;
  ~Identity();

  /// `from`: the state of another trial that this one begins with, if it does.
  Past past(const Timeline& timeline, const Digest& data,
            const std::optional<Digest>& from = {}) const;
  /// The trial as such, whatever its length, on data of this digest.
  Digest trial(const Timeline& timeline, const Digest& data) const {
    return trial_digest(timeline, past(timeline, data));
  }
  /// The state before step `at`: init operations, and what is in force over [0, at).
  Digest state(const Timeline& timeline, Step at, const Digest& data) const {
    return state_digest(timeline, past(timeline, data), at);
  }

 private:
  struct Roles;
  std::unique_ptr<Roles> roles_;
};

}  // namespace perturb
