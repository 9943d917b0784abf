// What pages are made of beside their data: files of this folder, embedded by the build.
#pragma once

#include <string_view>

namespace perturb {

/// Vega, Vega-Lite and vega-embed with their licences, one script. Empty in a build without npm.
extern const std::string_view kVega;
extern const std::string_view kPageStyle;   ///< page.css
extern const std::string_view kPageScript;  ///< page.js

}  // namespace perturb
