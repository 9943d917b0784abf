#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "perturb/plugin/load.h"

using namespace perturb;

namespace {

namespace fs = std::filesystem;

/// A folder of the user's own that is gone at the end.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "perturb-plugin-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    path_ = fs::canonical(name);
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

  /// What could be a plugin but for its code.
  fs::path plugin(const PluginStamp& stamp) const {
    std::string bytes =
        "\x7f"
        "ELF and other things ";
    bytes.append(reinterpret_cast<const char*>(&stamp), sizeof stamp);
    return file(bytes + " and more");
  }
  fs::path file(const std::string& bytes) const {
    const auto path = path_ / "it.so";
    std::ofstream(path, std::ios::binary) << bytes;
    ::chmod(path.c_str(), 0755);
    return path;
  }

 private:
  fs::path path_;
};

/// Why a file is refused; empty if it is not.
std::string refusal(const fs::path& path) {
  try {
    examine_plugin(path);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    CHECK(!error.advice().empty());
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void write(PluginStamp::Text& text, const char* words) {
  text = {};
  std::strncpy(text.data(), words, text.size() - 1);
}

}  // namespace

TEST_CASE("a file that could be loaded is known by its bytes and by what it was built with") {
  const Folder folder;
  const auto plain = examine_plugin(folder.plugin(plugin_stamp("")));
  CHECK(plain.libtorch == "");
  const auto torch = examine_plugin(folder.plugin(plugin_stamp("1.13.1")));
  CHECK(torch.libtorch == "1.13.1");
  CHECK(torch.digest != plain.digest);
  CHECK_NOTHROW(require_libtorch(plain, "2.5.0"));
  CHECK_NOTHROW(require_libtorch(torch, "1.13.1"));
  CHECK_THROWS_AS(require_libtorch(torch, "2.5.0"), Error);
}

TEST_CASE("what is no plugin is told from what is none for this program") {
  const Folder folder;
  CHECK(contains(refusal(folder.path() / "absent.so"), "there is no such file"));
  CHECK(contains(refusal(folder.path()), "it is not a file"));
  CHECK(contains(refusal(folder.file("")), "not a shared library"));
  CHECK(contains(refusal(folder.file("a text")), "not a shared library"));
  CHECK(contains(refusal(folder.file("\x7f"
                                     "ELF")),
                 "no plugin"));
  std::string cut =
      "\x7f"
      "ELF";
  cut.append(kPluginMagic.data(), kPluginMagic.size());
  CHECK(contains(refusal(folder.file(cut)), "no plugin"));

  auto stamp = plugin_stamp("");
  CHECK(refusal(folder.plugin(stamp)) == "");
  write(stamp.version, "0.0.9");
  CHECK(contains(refusal(folder.plugin(stamp)), "it was built for perturb 0.0.9, this is "));
  stamp = plugin_stamp("");
  ++stamp.abi;
  CHECK(contains(refusal(folder.plugin(stamp)), "of the plugin interface"));
  stamp = plugin_stamp("");
  write(stamp.compiler, "gcc 4");
  CHECK(contains(refusal(folder.plugin(stamp)), "it was built by gcc 4, this is "));
  stamp = plugin_stamp("");
  stamp.new_text = stamp.new_text == 0 ? 1 : 0;
  CHECK(contains(refusal(folder.plugin(stamp)), "strings of libstdc++"));
  // No byte of it needs to be text.
  stamp.version.fill('x');
  CHECK(contains(refusal(folder.plugin(stamp)), "it was built for perturb xxx"));
}

TEST_CASE("a plugin that others could have put there is refused") {
  const Folder folder;
  const auto path = folder.plugin(plugin_stamp(""));
  const auto with = [&](const fs::path& what, mode_t mode) {
    REQUIRE(::chmod(what.c_str(), mode) == 0);
    return refusal(path);
  };
  CHECK(contains(with(path, 0757), "it can be written by everybody"));
  CHECK(with(path, 0644) == "");
  CHECK(contains(with(folder.path(), 0707),
                 "its folder " + folder.path().string() + " can be written by everybody"));
  // Whoever may write there may not replace what is others' own.
  CHECK(with(folder.path(), 01707) == "");
  CHECK(with(folder.path(), 0700) == "");
  if (::geteuid() != 0) return;  // nobody else can give files away
  REQUIRE(::chown(path.c_str(), 12345, 0) == 0);
  CHECK(contains(refusal(path), "belongs to user 12345"));
  REQUIRE(::chown(path.c_str(), 0, 12345) == 0);
  CHECK(contains(with(path, 0775), "it can be written by its group"));
}

TEST_CASE("links lead to the file that is judged") {
  const Folder folder;
  const auto path = folder.plugin(plugin_stamp(""));
  const auto link = folder.path() / "link.so";
  fs::create_symlink(path, link);
  CHECK(examine_plugin(link).path == path);
  REQUIRE(::chmod(path.c_str(), 0666) == 0);
  CHECK(contains(refusal(link), path.string()));
}

TEST_CASE("a name without a slash is looked for where the configuration says, and nowhere else") {
  const Folder folder;
  folder.plugin(plugin_stamp(""));
  const auto found = [&](const std::string& name) -> std::string {
    try {
      return find_plugin(name, folder.path()).string();
    } catch (const Error& error) {
      return error.what();
    }
  };
  const fs::path here = fs::current_path();
  fs::current_path(folder.path());  // which must not matter
  ::unsetenv("PERTURB_PLUGINS");
  CHECK(contains(found("it.so"), "PERTURB_PLUGINS, which is not set"));
  CHECK(found("./it.so") == (folder.path() / "./it.so").string());
  CHECK(found("/else/it.so") == "/else/it.so");
  ::setenv("PERTURB_PLUGINS", ":.::/absent", 1);
  CHECK(contains(found("it.so"), "in no folder of $PERTURB_PLUGINS"));
  ::setenv("PERTURB_PLUGINS", ("/absent:" + folder.path().string()).c_str(), 1);
  CHECK(found("it.so") == (folder.path() / "it.so").string());
  ::unsetenv("PERTURB_PLUGINS");
  fs::current_path(here);
}

TEST_CASE("what cannot be loaded is refused with what the loader says") {
  const Folder folder;
  const auto file = examine_plugin(folder.plugin(plugin_stamp("")));
  std::string said;
  try {
    load_plugin(file);
  } catch (const Error& error) {
    said = error.what();
  }
  CHECK(contains(said, "it cannot be loaded: "));
}
