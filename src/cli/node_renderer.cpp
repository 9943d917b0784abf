#include "cli/node_renderer.h"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

fs::path find_in_path(std::string_view name) {
  const char* set = std::getenv("PATH");
  std::string_view rest = set ? set : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const fs::path file = fs::path(rest.substr(0, colon)) / name;
    // Not from the current folder, whatever PATH says: somebody else may have written there.
    if (file.is_absolute() && ::access(file.c_str(), X_OK) == 0) return file;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return {};
}

/// Beside the program in a build folder, or installed.
fs::path find_script() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const fs::path folder = program.parent_path();
  for (const fs::path& place :
       {folder / "figures", folder.parent_path() / "share" / "perturb" / "figures"}) {
    if (fs::exists(place / "render.mjs", error) && fs::exists(place / "vega.js", error))
      return place / "render.mjs";
  }
  return {};
}

/// Carries it out with `input` as a file on its standard input; its exit status, and in `said` what
/// it printed.
int carry_out(const fs::path& node, const fs::path& script, const fs::path& input,
              const fs::path& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::string program = node.string();
  std::string argument = script.string();
  const std::array<char*, 3> arguments = {program.data(), argument.data(), nullptr};
  pid_t child = 0;
  const int wrong =
      ::posix_spawn(&child, node.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (wrong != 0) return wrong;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

class WorkFolder {
 public:
  WorkFolder() {
    std::string name = (fs::temp_directory_path() / "perturb-figures-XXXXXX").string();
    if (!::mkdtemp(name.data()))
      throw Error(ExitCode::Disk,
                  "cannot make a folder for pictures in " + fs::temp_directory_path().string());
    path_ = name;
  }
  ~WorkFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

std::optional<NodeRenderer> NodeRenderer::find(std::string& missing) {
  const fs::path script = find_script();
  if (script.empty()) {
    missing = "this perturb was built without npm: install it and build again";
    return std::nullopt;
  }
  const fs::path node = find_in_path("node");
  if (node.empty()) {
    missing = "Node was not found: `apt install nodejs`";
    return std::nullopt;
  }
  return NodeRenderer(node, script);
}

void NodeRenderer::draw(const std::vector<Picture>& pictures) const {
  // Drawn aside, and put in place when all of them are there.
  const WorkFolder folder;
  nlohmann::json work = nlohmann::json::array();
  std::vector<std::pair<fs::path, fs::path>> made;
  const auto aside = [&](const fs::path& path) {
    if (path.empty()) return std::string();
    made.emplace_back(folder.path() / fmt::format("{}", made.size()), path);
    return made.back().first.string();
  };
  for (const Picture& picture : pictures)
    work.push_back(
        {{"spec", picture.spec}, {"svg", aside(picture.svg)}, {"png", aside(picture.png)}});
  const fs::path input = folder.path() / "figures.json";
  const fs::path said = folder.path() / "said";
  write_unsynced(input, work.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  if (carry_out(node_, script_, input, said) != 0) {
    std::string text = read_file(said, 1 << 20);
    if (text.size() > 2000) text.resize(2000);
    throw Error(ExitCode::Usage, "Node could not draw the pictures: " + text,
                "the .html and .vl.json files are there all the same");
  }
  constexpr std::size_t kLargest = std::size_t{1} << 28;
  for (const auto& [from, to] : made) write_unsynced(to, read_file(from, kLargest));
}

}  // namespace perturb
