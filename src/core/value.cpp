#include "perturb/core/value.h"

#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

#include "perturb/core/digest.h"

namespace perturb {
namespace {

std::string shortest(double number) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  return {text, end};
}

struct Canonical {
  std::string operator()(bool v) const { return v ? "b1" : "b0"; }
  std::string operator()(std::int64_t v) const { return "i" + std::to_string(v); }
  // -0 and 0 compare equal and act alike almost everywhere; one text keeps one identity.
  std::string operator()(double v) const { return "f" + shortest(v == 0 ? 0.0 : v); }
  std::string operator()(const std::string& v) const { return "s" + v; }
  std::string operator()(const List& v) const {
    std::string text = "l";
    for (const auto& item : v) text += framed(canonical(item));
    return text;
  }
};

struct Display {
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const { return shortest(v); }
  std::string operator()(const std::string& v) const { return v; }
  std::string operator()(const List& v) const {
    std::string text = "[";
    for (const auto& item : v) text += (text.size() > 1 ? ", " : "") + display(item);
    return text + "]";
  }
};

struct Json {
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const {
    if (!std::isfinite(v)) return v > 0 ? "1e999" : v < 0 ? "-1e999" : "null";
    const auto text = shortest(v);
    // Keeps a float a float for whoever reads it back.
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  std::string operator()(const std::string& v) const {
    return nlohmann::json(v).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  std::string operator()(const List& v) const {
    std::string text = "[";
    for (const auto& item : v) text += (text.size() > 1 ? "," : "") + to_json(item);
    return text + "]";
  }
};

}  // namespace

std::string canonical(const Value& value) { return std::visit(Canonical{}, value.data); }
std::string display(const Value& value) { return std::visit(Display{}, value.data); }
std::string to_json(const Value& value) { return std::visit(Json{}, value.data); }

}  // namespace perturb
