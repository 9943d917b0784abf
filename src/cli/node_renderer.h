// Draws figures as SVG and PNG without a browser: Node carries out the script in `figures`, a
// folder that the build puts beside the program (src/report/page/gather.py).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace perturb {

struct Picture {
  nlohmann::json spec;  ///< with its config
  std::filesystem::path svg;
  std::filesystem::path png;
};

class NodeRenderer {
 public:
  /// Nothing where there is no Node or no such folder; `missing` then says what and what to do.
  static std::optional<NodeRenderer> find(std::string& missing);

  /// Writes all files, whole or not at all. Error(Usage) with what Node said if it cannot.
  void draw(const std::vector<Picture>& pictures) const;

 private:
  NodeRenderer(std::filesystem::path node, std::filesystem::path script)
      : node_(std::move(node)), script_(std::move(script)) {}
  std::filesystem::path node_;
  std::filesystem::path script_;
};

}  // namespace perturb
