#include "cli/find_trial.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "perturb/core/error.h"

namespace perturb {

namespace {

constexpr std::size_t kFewestDigits = 4;
constexpr const char* kAdvice =
    "name it by at least four digits of its id, or as EXPERIMENT:NUMBER; `perturb plan FILE --all` "
    "and `perturb query \"select * from trials\"` show both";

bool is_hexadecimal(const std::string& text) {
  return text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

FoundTrial only(const Table& found, const std::string& text) {
  if (found.rows.empty())
    throw Error(ExitCode::Usage, fmt::format("the store has no trial \"{}\"", text), kAdvice);
  const auto id = [&](std::size_t row) { return std::get<std::string>(found.rows[row][0]); };
  for (std::size_t row = 1; row < found.rows.size(); ++row) {
    if (id(row) == id(0)) continue;  // another experiment's, too
    throw Error(ExitCode::Usage,
                fmt::format("\"{}\" begins the ids of several trials: {}, {}, ...", text,
                            id(0).substr(0, 16), id(row).substr(0, 16)),
                "give more digits");
  }
  return {Digest::from_hex(id(0)).value(), std::get<std::string>(found.rows[0][1]),
          std::get<std::int64_t>(found.rows[0][2])};
}

}  // namespace

bool may_name_trial(const std::string& text) {
  if (text.size() >= kFewestDigits && text.size() <= 64 && is_hexadecimal(text)) return true;
  const auto colon = text.rfind(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < text.size() &&
         text.find_first_not_of("0123456789", colon + 1) == std::string::npos;
}

FoundTrial find_trial(const Store& store, const std::string& text) {
  if (!may_name_trial(text))
    throw Error(ExitCode::Usage, fmt::format("\"{}\" does not name a trial", text), kAdvice);
  if (const auto colon = text.rfind(':'); colon != std::string::npos) {
    std::int64_t number = -1;
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), number);
    return only(store.query("select trial, experiment, number from trials "
                            "where experiment = ? and number = ?",
                            {text.substr(0, colon), number}),
                text);
  }
  return only(
      store.query("select trial, experiment, number from trials where trial between ? and ? "
                  "order by trial limit 100",
                  {text, text + std::string(64 - text.size(), 'f')}),
      text);
}

}  // namespace perturb
