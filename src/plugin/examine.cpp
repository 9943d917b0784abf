#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include "perturb/core/files.h"
#include "perturb/plugin/load.h"
#include "plugin/refusal.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargest = std::size_t{1} << 30;
constexpr const char* kRebuild = "build it anew against this perturb";

/// Whether nobody but the user can be in the group, as where every user has one of the same name.
bool is_private(gid_t id) {
  const struct group* entry = ::getgrgid(id);
  if (!entry) return false;
  const std::string name = entry->gr_name;
  for (char** member = entry->gr_mem; *member; ++member) {
    if (name != *member) return false;
  }
  const passwd* user = ::getpwuid(::geteuid());
  return user && name == user->pw_name;
}

/// Why others could have put there what lies at the path; empty if they could not.
std::string written_by_others(const fs::path& path) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return std::strerror(errno);
  if (found.st_uid != 0 && found.st_uid != ::geteuid()) {
    const passwd* owner = ::getpwuid(found.st_uid);
    return fmt::format("belongs to {}, neither to you nor to root",
                       owner ? owner->pw_name : fmt::format("user {}", found.st_uid));
  }
  // In such a folder nobody can replace the files of others.
  if (S_ISDIR(found.st_mode) && (found.st_mode & S_ISVTX) != 0) return {};
  if ((found.st_mode & S_IWOTH) != 0) return "can be written by everybody";
  if ((found.st_mode & S_IWGRP) != 0 && !is_private(found.st_gid))
    return "can be written by its group";
  return {};
}

/// Whoever may write a folder may put another file in the place of one in it, or another folder.
void require_own(const fs::path& path) {
  for (fs::path each = path; !each.empty(); each = each.parent_path()) {
    const std::string why = written_by_others(each);
    if (!why.empty())
      throw refused(
          path, each == path ? "it " + why : fmt::format("its folder {} {}", each.string(), why),
          fmt::format("a plugin runs with your privileges, so only you or root may be "
                      "able to write it: chmod go-w {}",
                      each.string()));
    if (each == each.root_path()) break;
  }
}

std::string text_of(const PluginStamp::Text& text) {
  return std::string(text.data(), ::strnlen(text.data(), text.size()));
}

const char* text_abi(std::int32_t flag) {
  return flag == 1 ? "new" : flag == 0 ? "old (_GLIBCXX_USE_CXX11_ABI=0)" : "other";
}

}  // namespace

void require_stamp(const fs::path& path, const PluginStamp& stamp) {
  const PluginStamp here = plugin_stamp("");
  const auto differ = [&](std::string_view what, const std::string& there, const std::string& own) {
    if (there == own) return;
    throw refused(path, fmt::format("it was built {} {}, this is {}", what, there, own), kRebuild);
  };
  differ("for perturb", text_of(stamp.version), text_of(here.version));
  differ("for version", fmt::format("{} of the plugin interface", stamp.abi),
         fmt::format("{} of the plugin interface", here.abi));
  differ("by", text_of(stamp.compiler), text_of(here.compiler));
  differ("with the", fmt::format("{} strings of libstdc++", text_abi(stamp.new_text)),
         fmt::format("{} strings of libstdc++", text_abi(here.new_text)));
}

PluginFile examine_plugin(const fs::path& path) {
  std::error_code error;
  const fs::path resolved = fs::canonical(path, error);
  if (error || !fs::exists(resolved))
    throw refused(path, "there is no such file",
                  "was it built? Names in an experiment file are relative to that file");
  if (!fs::is_regular_file(resolved))
    throw refused(resolved, "it is not a file", "name the shared library itself");
  require_own(resolved);
  const std::string bytes = read_file(resolved, kLargest);
  if (!bytes.starts_with("\x7f"
                         "ELF"))
    throw refused(resolved, "it is not a shared library",
                  "build one with `meson`, or `c++ -shared -fPIC`; docs/extending.md shows how");
  const auto at = bytes.find(std::string_view(kPluginMagic.data(), kPluginMagic.size()));
  if (at == std::string::npos || bytes.size() - at < sizeof(PluginStamp))
    throw refused(resolved, "it is a library, but no plugin: nothing in it says PERTURB_PLUGIN",
                  "docs/extending.md shows a plugin");
  PluginStamp stamp;
  std::memcpy(&stamp, bytes.data() + at, sizeof stamp);
  require_stamp(resolved, stamp);
  return {resolved, sha256(bytes), text_of(stamp.libtorch)};
}

void require_libtorch(const PluginFile& file, std::string_view version) {
  if (file.libtorch.empty() || file.libtorch == version) return;
  throw refused(
      file.path,
      fmt::format("it was built with LibTorch {}, perturb with {}", file.libtorch, version),
      kRebuild);
}

fs::path find_plugin(const std::string& name, const fs::path& folder) {
  if (name.find('/') != std::string::npos) return folder / name;
  const char* listed = std::getenv("PERTURB_PLUGINS");
  std::string_view rest = listed ? listed : "";
  while (!rest.empty()) {
    const auto end = rest.find(':');
    const fs::path place(rest.substr(0, end));
    std::error_code ignored;
    // An entry that is empty or relative would be the current folder, whatever lies there.
    if (place.is_absolute() && fs::exists(place / name, ignored)) return place / name;
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  throw refused(name,
                listed
                    ? "it is in no folder of $PERTURB_PLUGINS"
                    : "a name without a slash is looked for in $PERTURB_PLUGINS, which is not set",
                fmt::format("a plugin in the same folder is \"./{}\"", name));
}

}  // namespace perturb
