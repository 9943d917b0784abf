#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/descriptions.h"
#include "perturb/core/diagnostic.h"

namespace perturb {

namespace {

/// Components of that name, whichever their family; sections without kinds by their family.
std::vector<const Component*> find(const Schema& schema, const std::string& name) {
  std::vector<const Component*> found;
  for (const Family family : families()) {
    for (const Component* component : schema.all(family)) {
      if (component->name == name || (component->name.empty() && name_of(family) == name))
        found.push_back(component);
    }
  }
  return found;
}

[[noreturn]] void unknown(const Schema& schema, const std::string& name) {
  std::vector<std::string> names;
  for (const Family family : families()) {
    names.emplace_back(name_of(family));
    for (const std::string& known : schema.names(family)) names.push_back(known);
  }
  const std::string near = nearest(name, names);
  throw Error(
      ExitCode::Usage, "there is nothing called \"" + name + "\"",
      near.empty() ? "`perturb list` shows what there is" : "did you mean \"" + near + "\"?");
}

}  // namespace

void add_describe(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "describe", "Explain one thing of an experiment file, with its parameters");
  command->footer("Examples:\n  perturb describe lenet5\n  perturb describe optimizer");
  struct Options {
    std::string name;
    bool markdown = false;
  };
  auto options = std::make_shared<Options>();
  command->add_option("NAME", options->name, "A name as `perturb list` shows it, or a family")
      ->required();
  command->add_flag("--markdown", options->markdown,
                    "A family as Markdown, as in docs/experiment-file.md");
  context.on(command, [&context, options] {
    const auto family = family_from(options->name);
    std::vector<const Component*> found = find(context.schema, options->name);
    if (found.empty() && family) found = context.schema.all(*family);
    if (found.empty()) unknown(context.schema, options->name);
    if (options->markdown) {
      if (!family)
        throw Error(ExitCode::Usage, "\"" + options->name + "\" is not a family",
                    "--markdown writes whole families: `perturb describe --markdown model`");
      context.out.write(markdown(context.schema, *family));
      return ExitCode::Done;
    }
    std::string text;
    for (const Component* component : found) {
      if (context.json)
        text += (text.empty() ? "[" : ",\n") + to_json(*component);
      else
        text += (text.empty() ? "" : "\n") +
                describe(*component, context.out.color(), context.out.width());
    }
    context.out.write(context.json ? text + "]\n" : text);
    return ExitCode::Done;
  });
}

}  // namespace perturb
