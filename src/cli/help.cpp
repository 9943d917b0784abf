#include "cli/help.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cli/wording.h"

namespace perturb {

namespace {

constexpr std::size_t kWidth = 96;
constexpr std::size_t kWidestLeft = 26;

using Entries = std::vector<std::pair<std::string, std::string>>;  // left, right

/// What stands for the value: as the command names it, or nothing where CLI11 only knows a type.
std::string value_name(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::string name = type.substr(0, type.find(':'));  // validators come after the colon
  for (const char* plain : {"TEXT", "INT", "UINT", "FLOAT", "BOOLEAN"}) {
    if (name == plain) return {};
  }
  return name;
}

std::string positional_name(const CLI::Option& option) {
  const std::string value = value_name(option);
  std::string name = value.empty() ? option.get_name(true) : value;
  if (option.get_items_expected_max() > 2) name += " ...";
  return name;
}

std::string usage_of(const CLI::Option& option) {
  const std::string name = positional_name(option);
  return option.get_required() ? name : "[" + name + "]";
}

std::string option_name(const CLI::Option& option) {
  std::string name;
  for (const std::string& one : option.get_snames()) name += (name.empty() ? "-" : ", -") + one;
  for (const std::string& one : option.get_lnames())
    name += (name.empty() ? "    --" : ", --") + one;
  const std::string value = option.get_items_expected_max() > 0 ? value_name(option) : "";
  return value.empty() ? name : name + " " + value;
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() ? full_name(*app.get_parent()) + " " + app.get_name() : "perturb";
}

std::string section(const std::string& title, const Entries& entries) {
  if (entries.empty()) return {};
  std::size_t left = 0;
  for (const auto& [name, help] : entries)
    left = std::max(left, std::min(name.size(), kWidestLeft));
  std::string text = "\n" + title + ":\n";
  for (const auto& [name, help] : entries) {
    std::string line = "  " + name;
    const std::string indent(left + 4, ' ');
    if (name.size() > left)
      line += "\n" + indent;
    else
      line += std::string(indent.size() - line.size(), ' ');
    for (const std::string& part : wrapped(help, kWidth - indent.size())) {
      text += line + part + "\n";
      line = indent;
    }
  }
  return text;
}

std::string usage(const CLI::App& app) {
  std::string text = "Usage: " + full_name(app);
  if (!app.get_subcommands({}).empty())
    text += app.get_require_subcommand_min() > 0 ? " COMMAND" : " [COMMAND]";
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() && !option->get_group().empty()) text += " " + usage_of(*option);
  }
  return text + " [options]\n";
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
  std::string text = usage(*app) + "\n";
  for (const std::string& line : wrapped(app->get_description(), kWidth)) text += line + "\n";

  Entries commands;
  for (const CLI::App* command : app->get_subcommands({})) {
    if (command->get_group().empty()) continue;  // not for people
    commands.emplace_back(command->get_name(), command->get_description());
  }
  Entries arguments;
  Entries options;
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    if (option->get_positional())
      arguments.emplace_back(positional_name(*option), option->get_description());
    else
      options.emplace_back(option_name(*option), option->get_description());
  }
  text +=
      section("Commands", commands) + section("Arguments", arguments) + section("Options", options);
  if (app->get_parent()) text += "\n`perturb --help` lists the options that all commands have.\n";
  if (const std::string footer = app->get_footer(); !footer.empty()) text += "\n" + footer + "\n";
  return text;
}

}  // namespace perturb
