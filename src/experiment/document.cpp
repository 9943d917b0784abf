#include "experiment/document.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace perturb {
/// Some wrong texts break what toml++ 3.3 asserts of itself (`a.` before a line's end, for one).
/// That is a text to refuse, not a reason to die.
struct ParserGaveUp : std::logic_error {
  using std::logic_error::logic_error;
};
[[noreturn]] static void give_up(const char* expression) { throw ParserGaveUp(expression); }
}  // namespace perturb
#define TOML_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::perturb::give_up(#expression))
#include <toml++/toml.h>

namespace perturb {
namespace {

constexpr int kDepthLimit = 32;

Place place_of(const std::shared_ptr<const Source>& source, const toml::source_region& region) {
  return {source, region.begin.line, region.begin.column};
}

bool before(const Place& a, const Place& b) {
  return a.line != b.line ? a.line < b.line : a.column < b.column;
}

Node convert(const toml::node& in, const std::shared_ptr<const Source>& source) {
  Node out;
  out.place = place_of(source, in.source());
  if (const auto* table = in.as_table()) {
    for (const auto& [key, value] : *table) {
      out.entries.push_back(
          {std::string(key.str()), place_of(source, key.source()), convert(value, source)});
    }
    // toml++ keeps keys sorted; grids and tables follow the file.
    std::stable_sort(out.entries.begin(), out.entries.end(),
                     [](const Entry& a, const Entry& b) { return before(a.place, b.place); });
  } else if (const auto* array = in.as_array()) {
    out.kind = Node::Kind::Array;
    for (const auto& item : *array) out.items.push_back(convert(item, source));
  } else if (const auto boolean = in.value_exact<bool>()) {
    out.kind = Node::Kind::Bool;
    out.boolean = *boolean;
  } else if (const auto integer = in.value_exact<std::int64_t>()) {
    out.kind = Node::Kind::Int;
    out.integer = *integer;
  } else if (const auto number = in.value_exact<double>()) {
    out.kind = Node::Kind::Float;
    out.number = *number;
  } else if (const auto text = in.value_exact<std::string>()) {
    out.kind = Node::Kind::String;
    out.text = *text;
  } else {
    out.kind = Node::Kind::Date;
  }
  return out;
}

/// Finds nesting or keys deep enough to exhaust the parser's stack, without parsing: strings
/// and comments are skipped, brackets and the dots between two separators counted.
class DepthScan {
 public:
  explicit DepthScan(std::string_view text) : text_(text) {}

  /// The byte at which the text is too deep, or npos.
  std::size_t run() {
    int open = 0;
    int dots = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (c == '[' || c == '{') ++open;
      if (c == ']' || c == '}') open = std::max(0, open - 1);
      if (c == '.') ++dots;
      if (c == '\n' || c == ',' || c == '=' || c == '{' || c == '[') dots = 0;
      if (open > kDepthLimit || dots > kDepthLimit) return at_;
      ++at_;
    }
    return std::string_view::npos;
  }

 private:
  void skip_string(char quote) {
    const std::string fence(3, quote);
    const bool multiline = text_.substr(at_, 3) == fence;
    at_ += multiline ? 3 : 1;
    while (at_ < text_.size()) {
      if (text_[at_] == '\\' && quote == '"') {
        at_ += 2;
      } else if (multiline ? text_.substr(at_, 3) == fence : text_[at_] == quote) {
        at_ += multiline ? 3 : 1;
        return;
      } else if (!multiline && text_[at_] == '\n') {
        return;  // not closed: the parser will say so
      } else {
        ++at_;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Place place_at(const std::shared_ptr<const Source>& source, std::size_t byte) {
  const std::string_view before = std::string_view(source->text).substr(0, byte);
  const auto line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {source, static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1,
          byte - line_start + 1};
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::string_view name_of(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::Bool:
      return "a boolean";
    case Node::Kind::Int:
      return "an integer";
    case Node::Kind::Float:
      return "a float";
    case Node::Kind::String:
      return "a string";
    case Node::Kind::Array:
      return "a list";
    case Node::Kind::Table:
      return "a table";
    case Node::Kind::Date:
      return "a date or time";
  }
  return "";
}

Diagnostic too_large(const Place& place) {
  Diagnostic out;
  out.place = place;
  out.message = fmt::format("the file has more than {} bytes", kFileLimit);
  out.advice =
      "an experiment file declares, it does not hold data: put data in a file of its own and name "
      "that";
  return out;
}

Node parse_toml(const std::shared_ptr<const Source>& source, std::vector<Diagnostic>& diagnostics) {
  Node empty;
  empty.place = {source, 1, 1};
  if (source->text.size() > kFileLimit) {
    diagnostics.push_back(too_large({source, 0, 0}));
    return empty;
  }
  if (const auto byte = DepthScan(source->text).run(); byte != std::string_view::npos) {
    diagnostics.push_back({place_at(source, byte),
                           fmt::format("more than {} levels of nesting", kDepthLimit),
                           "no key of an experiment is that deep: is a bracket missing?"});
    return empty;
  }
  try {
    return convert(toml::parse(source->text), source);
  } catch (const toml::parse_error& error) {
    diagnostics.push_back({place_of(source, error.source()),
                           fmt::format("this is not TOML: {}", error.description()),
                           "see https://toml.io for the notation"});
  } catch (const ParserGaveUp&) {
    diagnostics.push_back(
        {{source, 0, 0}, "this is not TOML", "see https://toml.io for the notation"});
  }
  return empty;
}

namespace {

/// Splits at commas outside brackets and quotes.
std::vector<std::pair<std::size_t, std::string>> pieces(const std::string& text, std::size_t from) {
  std::vector<std::pair<std::size_t, std::string>> out;
  int open = 0;
  char quote = 0;
  std::size_t start = from;
  for (std::size_t i = from; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    if (quote && i < text.size()) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{') {
      ++open;
    } else if (c == ']' || c == '}') {
      --open;
    } else if (c == ',' && (open <= 0 || i == text.size())) {
      out.emplace_back(start, text.substr(start, i - start));
      start = i + 1;
    }
  }
  return out;
}

void move_to(Node& node, const Place& place) {
  node.place = place;
  for (auto& item : node.items) move_to(item, place);
  for (auto& entry : node.entries) {
    entry.place = place;
    move_to(entry.value, place);
  }
}

}  // namespace

Override parse_override(const std::string& text, std::vector<Diagnostic>& diagnostics) {
  const auto source = std::make_shared<const Source>(Source{"command line", text});
  Override out;
  out.place = {source, 1, 1};
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    diagnostics.push_back({out.place, fmt::format("\"{}\" is not an override", text),
                           "an override is written path=value, for instance optimizer.lr=0.1"});
    return out;
  }
  out.path = text.substr(0, equals);
  for (const auto& [start, piece] : pieces(text, equals + 1)) {
    const Place place{source, 1, start + 1};
    if (piece.empty()) {
      diagnostics.push_back({place, fmt::format("no value for \"{}\"", out.path), ""});
      continue;
    }
    const auto line = std::make_shared<const Source>(Source{"command line", "value = " + piece});
    std::vector<Diagnostic> not_toml;
    const auto table = parse_toml(line, not_toml);
    Node node;
    if (const auto* value = table.find("value");
        value && not_toml.empty() && table.entries.size() == 1) {
      node = *value;
    } else {
      node.kind = Node::Kind::String;
      node.text = piece;
    }
    move_to(node, place);
    out.values.push_back(std::move(node));
  }
  return out;
}

}  // namespace perturb
