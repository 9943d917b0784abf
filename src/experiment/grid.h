// Levels and their products. A grid is a list of axes; each axis offers choices, a choice sets
// one or several fields at once. Points are decoded from their number, never stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiment/document.h"
#include "experiment/problems.h"
#include "perturb/core/value.h"
#include "perturb/experiment/schema.h"

namespace perturb {

/// When an intervention acts, as written: windows may still be in epochs.
struct When {
  enum class Kind { Init, WholeRun, Steps, Epochs } kind = Kind::WholeRun;
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;  ///< half-open; kForever: to the end
};

/// One level of one field.
struct Level {
  enum class Kind {
    Value,
    Scale,  ///< times what the field has without it
    Add,    ///< plus what the field has without it
    When,
  };
  Kind kind = Kind::Value;
  Value value;
  When when;
  Place place;
};

struct Setting {
  std::string path;
  Level level;
  std::size_t part = 0;  ///< of an intervention that consists of several
};
using Choice = std::vector<Setting>;
/// The settings of one point of a grid; they belong to it.
using Point = std::vector<const Setting*>;

struct Axis {
  std::vector<Choice> choices;
};

class Grid {
 public:
  std::vector<Axis> axes;

  /// The product of the axes' sizes; saturates at kGridLimit + 1.
  std::size_t size() const;
  /// The settings of one point; the first axis varies slowest.
  Point at(std::size_t point) const;
  /// Every path that some choice sets, once, in file order.
  std::vector<std::string> paths() const;
  /// The point that differs from `point` in having these values, given as they are displayed;
  /// nothing when there is none.
  std::optional<std::size_t> neighbour(
      std::size_t point, const std::vector<std::pair<std::string, std::string>>& values) const;
};

/// Trials that one experiment may have; beyond it something is a mistake.
inline constexpr std::size_t kGridLimit = 1'000'000;

/// Reads the levels of one key: a value, a list, or a table with one of range, linspace,
/// logspace, scale, add, each.
std::vector<Level> read_levels(const Node& node, const Parameter& parameter,
                               const std::string& path, const std::filesystem::path& folder,
                               Problems& problems);

/// Reads `when`: "init", a step, a range, a list of ranges, { epochs = ... }, { each = [...] }.
std::vector<Level> read_when(const Node& node, Problems& problems);

/// A key of an entry together with the levels that it offers.
struct Key {
  std::string path;
  Place place;
  std::vector<Level> levels;
};
/// The keys of an entry as axes: multiplied, or paired when `zip`.
std::vector<Axis> axes_of(std::vector<Key> keys, bool zip, const Place& entry, Problems& problems);

}  // namespace perturb
