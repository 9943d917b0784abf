// What is wrong with a text that the user wrote, and where. Diagnostics are collected,
// not thrown one by one: whoever reads a file reports everything at once.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "perturb/core/error.h"

namespace perturb {

/// A text with the name under which the user knows it: a file, or "command line".
struct Source {
  std::string name;
  std::string text;
};

/// A place in a source. Lines and columns count from 1; 0 means "the source as a whole".
struct Place {
  std::shared_ptr<const Source> source;
  std::size_t line = 0;
  std::size_t column = 0;
};

struct Diagnostic {
  Place place;
  std::string message;   ///< one line: what is wrong
  std::string advice;    ///< one line: what to do next, e.g. the nearest key; may be empty
  bool warning = false;  ///< a warning alone lets the experiment run
};

/// The diagnostic as the user sees it:
///
///     momentum.toml:12:1: error: unknown key "optimzer.lr"
///        12 | optimzer.lr = 0.1
///           | ^
///       did you mean "optimizer.lr"?
///
/// Control characters of the source are shown as '?', long lines are cut around the caret.
std::string render(const Diagnostic& diagnostic);

/// Everything that was found wrong with an experiment; `what()` is the rendered list.
class InvalidExperiment : public Error {
 public:
  explicit InvalidExperiment(std::vector<Diagnostic> diagnostics);
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

/// The candidate nearest to `word` by edit distance (transpositions count as one), or an
/// empty string when none is near enough to be what was meant.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace perturb
