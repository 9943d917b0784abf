#include "cli/completer.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <CLI/CLI.hpp>

#include "cli/descriptions.h"

namespace perturb {

namespace {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The option of that name of a command or of the program.
const CLI::Option* find_option(const CLI::App& app, const CLI::App* command,
                               const std::string& name) {
  if (command) {
    if (const auto* option = command->get_option_no_throw(name)) return option;
  }
  return app.get_option_no_throw(name);
}

bool takes_value(const CLI::Option* option) {
  return option && option->get_items_expected_max() > 0;
}

class Completer {
 public:
  Completer(const CLI::App& app, const Schema& schema, const std::vector<std::string>& words)
      : app_(app), schema_(schema), word_(words.empty() ? "" : words.back()) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) read(words[i]);
  }

  std::vector<Candidate> candidates() {
    if (pending_)
      values_of(*pending_);
    else if (word_.starts_with('-'))
      options();
    else if (!command_)
      commands();
    else
      arguments();
    return std::move(found_);
  }

 private:
  void read(const std::string& word) {
    if (pending_) {
      pending_ = nullptr;
    } else if (word.starts_with('-')) {
      const CLI::Option* option = find_option(app_, command_, word);
      if (takes_value(option)) pending_ = option;
    } else if (!command_) {
      command_ = find_command(word);
    } else {
      positionals_.push_back(word);
    }
  }

  const CLI::App* find_command(const std::string& name) const {
    const auto found =
        app_.get_subcommands([&](const CLI::App* command) { return command->get_name() == name; });
    return found.empty() ? nullptr : found.front();
  }

  void offer(const std::string& text, const std::string& help = {}) {
    if (text.starts_with(word_) || is_one_of(text, {kTomlFiles, kAnyFiles, kFolders}))
      found_.push_back({text, help.substr(0, help.find('\n'))});
  }

  void commands() {
    for (const CLI::App* command : app_.get_subcommands({})) {
      if (command->get_group().empty()) continue;  // not for people
      offer(command->get_name(), command->get_description());
    }
  }

  void options() {
    for (const CLI::App* owner : std::array<const CLI::App*, 2>{command_, &app_}) {
      if (!owner) continue;
      for (const CLI::Option* option : owner->get_options()) {
        for (const std::string& name : option->get_lnames())
          offer("--" + name, option->get_description());
      }
    }
  }

  void values_of(const CLI::Option& option) {
    const std::string name = option.get_name();
    if (name == "--color") {
      for (const char* when : {"auto", "always", "never"}) offer(when);
    } else if (is_one_of(name, {"--store", "--data", "--out", "--robustness"})) {
      offer(kFolders);
    } else if (name == "--plugin") {
      offer(kAnyFiles);
    } else if (name == "--format") {
      for (const char* format : {"csv", "jsonl"}) offer(format);
    } else if (name == "--table") {
      for (const char* table : {"results", "contrasts"}) offer(table);
    } else if (name == "--at") {
      for (const char* place : {"last", "best", "epoch:"}) offer(place);
    } else if (name == "--kind") {
      for (const Component* component : schema_.all(Family::Plot))
        offer(component->name, component->help);
    } else if (name == "--by") {
      paths("");
    }
  }

  void arguments() {
    const std::string name = command_->get_name();
    if (name == "list" || name == "describe") {
      for (const Family family : families()) offer(std::string(name_of(family)), "family");
      if (name == "describe") components();
    } else if (name == "completion") {
      for (const char* shell : {"bash", "zsh", "fish"}) offer(shell);
    } else if (name == "import") {
      if (positionals_.empty()) offer(kAnyFiles);
    } else if (is_one_of(name, {"check", "plan", "run", "show", "plot", "status", "query", "export",
                                "verify", "gc"})) {
      if (positionals_.empty())
        offer(kTomlFiles);
      else if (!is_one_of(name, {"query", "verify", "gc"}))
        overrides();
    } else {
      for (const CLI::App* command : command_->get_subcommands({}))
        offer(command->get_name(), command->get_description());
      if (name == "data") {
        for (const std::string& kind : schema_.names(Family::Data)) offer(kind, "data set");
      }
    }
  }

  void components() {
    for (const Family family : families()) {
      for (const Component* component : schema_.all(family)) {
        if (!component->name.empty()) offer(component->name, component->help);
      }
    }
  }

  void overrides() {
    const std::size_t equals = word_.find('=');
    if (equals == std::string::npos)
      paths("=");
    else
      values(word_.substr(0, equals));
  }

  void paths(const std::string& suffix) {
    std::vector<std::string> seen;
    const auto once = [&](const std::string& path, const std::string& help) {
      if (std::find(seen.begin(), seen.end(), path) != seen.end()) return;
      seen.push_back(path);
      offer(path + suffix, help);
    };
    for (const Section& section : sections()) {
      const std::string prefix = std::string(section.name) + ".";
      if (section.has_kind) once(prefix + "kind", "which " + std::string(section.name));
      for (const Component* component : schema_.all(section.family)) {
        for (const Parameter& parameter : component->parameters)
          once(prefix + parameter.name, parameter.help);
      }
    }
  }

  /// Values of the field at `path`, where there is a choice. Values may be joined by commas.
  void values(const std::string& path) {
    const std::string before = word_.substr(0, word_.find_last_of("=,") + 1);
    for (const Section& section : sections()) {
      const std::string prefix = std::string(section.name) + ".";
      if (!path.starts_with(prefix)) continue;
      const std::string key = path.substr(prefix.size());
      for (const Component* component : schema_.all(section.family)) {
        if (key == "kind" && section.has_kind) offer(before + component->name, component->help);
        if (const Parameter* parameter = component->find(key)) choices(*parameter, before);
      }
    }
  }

  void choices(const Parameter& parameter, const std::string& before) {
    const auto once = [&](const std::string& value) {
      const bool known = std::any_of(found_.begin(), found_.end(), [&](const Candidate& candidate) {
        return candidate.text == before + value;
      });
      if (!known) offer(before + value);
    };
    for (const std::string& choice : parameter.choices) once(choice);
    if (parameter.type == Type::Bool) {
      once("true");
      once("false");
    }
  }

  const CLI::App& app_;
  const Schema& schema_;
  const std::string word_;
  const CLI::App* command_ = nullptr;
  const CLI::Option* pending_ = nullptr;  // waits for its value
  std::vector<std::string> positionals_;
  std::vector<Candidate> found_;
};

}  // namespace

std::vector<Candidate> complete(const CLI::App& app, const Schema& schema,
                                const std::vector<std::string>& words) {
  return Completer(app, schema, words).candidates();
}

}  // namespace perturb
