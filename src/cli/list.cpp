#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/descriptions.h"
#include "perturb/core/diagnostic.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

std::vector<Family> wanted_families(const std::string& name) {
  if (name.empty()) return families();
  if (const auto family = family_from(name)) return {*family};
  std::vector<std::string> names;
  for (const Family family : families()) names.emplace_back(name_of(family));
  const std::string near = nearest(name, names);
  std::string all;
  for (const std::string& known : names) all += (all.empty() ? "" : ", ") + known;
  throw Error(ExitCode::Usage, "there is no family \"" + name + "\"",
              near.empty() ? "families: " + all : "did you mean \"" + near + "\"?");
}

std::string from(const Component& component) {
  if (!component.plugin) return "";
  return std::filesystem::path(component.plugin->file).filename().string();
}

}  // namespace

void add_list(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("list", "List what can be named in an experiment file");
  command->footer("Example:\n  perturb list model");
  auto family = std::make_shared<std::string>();
  command->add_option("FAMILY", *family,
                      "task, model, data, optimizer, schedule, intervention, metric or plot");
  context.on(command, [&context, family] {
    std::vector<TextTable::Column> columns = {{"family"}, {"name"}, {"what it is"}};
    // A column of blanks says nothing where nothing was loaded.
    if (!context.plugins.empty()) columns.insert(columns.begin() + 2, {"from"});
    TextTable table(columns);
    nlohmann::json json = nlohmann::json::array();
    for (const Family each : wanted_families(*family)) {
      table.add_gap();
      for (const Component* component : context.schema.all(each)) {
        const std::string name = component->name.empty() ? "-" : component->name;
        std::vector<std::string> cells = {std::string(name_of(each)), name, component->help};
        if (!context.plugins.empty()) cells.insert(cells.begin() + 2, from(*component));
        table.add(cells);
        json.push_back({{"family", name_of(each)},
                        {"name", component->name},
                        {"help", component->help},
                        {"plugin", nullptr}});
        if (component->plugin)
          json.back()["plugin"] = {{"file", component->plugin->file},
                                   {"sha256", component->plugin->digest.hex()}};
      }
    }
    if (context.json)
      context.out.line(json.dump(2));
    else
      context.out.write(
          table.text({.color = context.out.color(),
                      .widest_cell = context.out.width() > 0 ? context.out.width() : 1000,
                      .width = context.out.width()}));
    return ExitCode::Done;
  });
}

}  // namespace perturb
