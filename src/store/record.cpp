#include "perturb/store/record.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/error.h"

namespace perturb {

namespace {

constexpr std::array<std::pair<Outcome, std::string_view>, 7> kNames = {{
    {Outcome::Done, "done"},
    {Outcome::Diverged, "diverged"},
    {Outcome::Failed, "failed"},
    {Outcome::Crashed, "crashed"},
    {Outcome::OutOfMemory, "out of memory"},
    {Outcome::TimedOut, "timed out"},
    {Outcome::Interrupted, "interrupted"},
}};

}  // namespace

std::string_view name_of(Outcome outcome) {
  for (const auto& [known, name] : kNames) {
    if (known == outcome) return name;
  }
  return "failed";
}

Outcome outcome_from(std::string_view name) {
  for (const auto& [outcome, known] : kNames) {
    if (known == name) return outcome;
  }
  // A name that this program does not write comes from a damaged or foreign file.
  throw Error(ExitCode::Store, fmt::format("\"{}\" is not an outcome of a trial", name),
              "restore the store from a copy, or move its folder away");
}

}  // namespace perturb
