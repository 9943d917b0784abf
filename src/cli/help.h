// Help texts: usage, what the command is, arguments, options, examples, wrapped for a terminal.
// CLI11's own do not wrap, and spell out validators.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace perturb {

class HelpFormatter : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
};

}  // namespace perturb
