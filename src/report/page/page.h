// One HTML file with everything in it: style, scripts, data. Says what a page is; what stands on
// it is others' business.
#pragma once

#include <string>
#include <vector>

namespace perturb {

struct Page {
  struct Section {
    std::string id;
    std::string title;  ///< text
    std::string html;
  };
  std::string title;              ///< text
  std::string head;               ///< HTML under the title
  std::vector<Section> sections;  ///< with links to them, if there are several
  std::string foot;               ///< HTML
  int refresh = 0;                ///< seconds after which it loads itself anew; 0: never

  /// No script runs in it but the embedded ones, and nothing is loaded from anywhere: its content
  /// policy says so.
  std::string text() const;
};

}  // namespace perturb
