#include "perturb/core/files.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <zlib.h>

#include "perturb/core/error.h"

using namespace perturb;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "perturb-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string gzipped(const std::string& text, const fs::path& path) {
  gzFile file = ::gzopen(path.c_str(), "wb");
  REQUIRE(::gzwrite(file, text.data(), static_cast<unsigned>(text.size())) ==
          static_cast<int>(text.size()));
  REQUIRE(::gzclose(file) == Z_OK);
  return read_file(path, 1 << 20);
}

template <typename Work>
ExitCode code_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.code();
  }
  return ExitCode::Done;
}

}  // namespace

TEST_CASE("what was written is read, whatever bytes it is made of") {
  const Folder folder;
  std::string bytes(300'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{65536}, bytes.size()}) {
    write_atomically(folder / "file", std::string_view(bytes).substr(0, size));
    CHECK(read_file(folder / "file", bytes.size()) == bytes.substr(0, size));
    CHECK(read_maybe_gzip(folder / "file", bytes.size()) == bytes.substr(0, size));
  }
}

TEST_CASE("a file may be as large as the limit, and no larger") {
  const Folder folder;
  write_atomically(folder / "file", "12345");
  CHECK(read_file(folder / "file", 5) == "12345");
  CHECK(code_of([&] { read_file(folder / "file", 4); }) == ExitCode::Usage);
  CHECK(code_of([&] { read_maybe_gzip(folder / "file", 4); }) == ExitCode::Usage);
}

TEST_CASE("the limit holds for files that do not say how large they are") {
  CHECK(code_of([] { read_file("/dev/zero", 1 << 20); }) == ExitCode::Usage);
}

TEST_CASE("what cannot be read is an error of the disk that names the file") {
  const Folder folder;
  CHECK(code_of([&] { read_file(folder / "absent", 10); }) == ExitCode::Disk);
  CHECK(code_of([&] { read_file(folder.path(), 10); }) == ExitCode::Disk);
  CHECK(code_of([&] { read_maybe_gzip(folder / "absent", 10); }) == ExitCode::Disk);
  CHECK(code_of([&] { read_maybe_gzip(folder.path(), 10); }) == ExitCode::Disk);
  CHECK(code_of([&] { write_atomically(folder / "no" / "file", "x"); }) == ExitCode::Disk);
  CHECK_THROWS_WITH(read_file("/absent/file", 10),
                    "cannot read /absent/file: No such file or directory");
}

TEST_CASE("gzip is unpacked, and its limit is that of what comes out") {
  const Folder folder;
  const std::string text(100'000, 'x');
  const std::string packed = gzipped(text, folder / "file.gz");
  CHECK(packed.size() < 1000);
  CHECK(read_maybe_gzip(folder / "file.gz", text.size()) == text);
  CHECK(code_of([&] { read_maybe_gzip(folder / "file.gz", text.size() - 1); }) == ExitCode::Usage);
}

TEST_CASE("no truncation of a gzip file passes for the whole") {
  const Folder folder;
  const std::string packed = gzipped("the quick brown fox jumps over the lazy dog", folder / "a");
  for (std::size_t size = 2; size < packed.size(); ++size) {
    CAPTURE(size);
    write_atomically(folder / "b", packed.substr(0, size));
    CHECK(code_of([&] { read_maybe_gzip(folder / "b", 1000); }) == ExitCode::Usage);
  }
}

TEST_CASE("a failed write leaves the former file and nothing beside it") {
  const Folder folder;
  fs::create_directory(folder / "target");
  write_atomically(folder / "target" / "inside", "kept");
  // A file cannot take the place of a folder.
  CHECK(code_of([&] { write_atomically(folder / "target", "x"); }) == ExitCode::Disk);
  CHECK(read_file(folder / "target" / "inside", 10) == "kept");
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("a lock is held once, also within a process, and is free when let go") {
  const Folder folder;
  auto lock = FileLock::try_acquire(folder / "lock");
  REQUIRE(lock);
  CHECK_FALSE(FileLock::try_acquire(folder / "lock"));
  FileLock moved = std::move(*lock);
  lock.reset();
  CHECK_FALSE(FileLock::try_acquire(folder / "lock"));
  moved.describe("process 1 on a longer name");
  moved.describe("process 2");
  CHECK(read_file(folder / "lock", 100) == "process 2\n");
  moved = std::move(*FileLock::try_acquire(folder / "other"));
  CHECK(FileLock::try_acquire(folder / "lock"));
}

TEST_CASE("the lock of a process that was killed is free") {
  const Folder folder;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto lock = FileLock::try_acquire(folder / "lock");
    const char answer = lock ? 'y' : 'n';
    if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  CHECK_FALSE(FileLock::try_acquire(folder / "lock"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(FileLock::try_acquire(folder / "lock"));
  ::close(ready[0]);
  ::close(ready[1]);
}
