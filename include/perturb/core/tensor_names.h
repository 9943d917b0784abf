// Tensors of somebody else's file and the tensors that are wanted: which is which, and what to say
// where the two do not agree. Names and shapes only; knows nothing of files or values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perturb {

struct NamedTensor {
  std::string name;
  std::optional<std::vector<std::int64_t>> shape;  ///< none: not known, fits all
};

/// "THEIRS=OURS": what a tensor of a file is called here. Both sides are names, or patterns with
/// one
/// * that stands for the same characters on both. Nothing behind the = leaves the tensor out.
class Renaming {
 public:
  /// Throws Error(Usage).
  explicit Renaming(std::string_view text);

  /// The new name; the same one where it does not match, and "" where it is left out.
  std::string of(const std::string& name) const;
  std::string text() const { return theirs_ + '=' + ours_; }

 private:
  std::string theirs_, ours_;
};

/// Throws Error(Usage).
std::vector<Renaming> renamings(const std::vector<std::string>& texts);

/// One renaming after the other; "" when it is left out.
std::string renamed(std::string name, const std::vector<Renaming>& names);

/// Whether a file may have or lack it: PyTorch's count of batches, which nothing reads, and what
/// the optimizer remembers in checkpoints of our own.
bool is_beside_the_point(std::string_view name);

struct Matching {
  /// Which of theirs is which of ours. All of ours but what is beside the point, if nothing is
  /// wrong.
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  std::string wrong;   ///< in one line; empty when each has its counterpart, of the same shape
  std::string advice;  ///< how to map, by an example from these names; may be empty
};

/// Names as files give them are shown as they are: whoever prints them makes them printable.
Matching match_tensors(const std::vector<NamedTensor>& theirs, const std::vector<NamedTensor>& ours,
                       const std::vector<Renaming>& names);

}  // namespace perturb
