// The end of what a worker wrote to its log, for a message.
#pragma once

#include <string>
#include <string_view>

namespace perturb {

/// The last lines that say anything, as one: " / " between them, and no control characters.
std::string quoted_end(std::string_view log);

}  // namespace perturb
