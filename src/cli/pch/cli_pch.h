// What every command includes: read once instead of two dozen times, which halves a build.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
