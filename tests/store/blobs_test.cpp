#include "perturb/store/blobs.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "perturb/core/digest.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "store/fixture.h"

using namespace perturb;
using namespace perturb::fixture;
namespace fs = std::filesystem;

namespace {

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

std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(engine());
  return bytes;
}

/// In place, as a disk would do it.
void overwrite(const fs::path& path, std::size_t at, char byte) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at)).put(byte).flush();
  if (!file) FAIL("cannot damage " << path);
}

}  // namespace

TEST_CASE("a blob is read as it was put, under the digest of its bytes") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path() / "store");
  CHECK_FALSE(fs::exists(folder.path() / "store"));
  CHECK(blobs.list().blobs.empty());

  std::vector<Digest> all;
  for (const std::size_t size : {0, 1, 4096, 300'000}) {
    const std::string bytes = random_bytes(size, 1);
    const Digest blob = blobs.put(bytes);
    CHECK(blob == sha256(bytes));
    CHECK(blobs.get(blob) == bytes);
    CHECK(blobs.size(blob) == size);
    const std::string hex = blob.hex();
    CHECK(blobs.path(blob) == folder.path() / "store" / "blobs" / hex.substr(0, 2) / hex);
    CHECK(read_file(blobs.path(blob), size) == bytes);
    all.push_back(blob);
  }
  blobs.sync(all);
  std::sort(all.begin(), all.end());
  CHECK(blobs.list().blobs == all);
  CHECK(blobs.list().leftovers.empty());
}

TEST_CASE("what is removed is missing, and may be removed again") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const Digest blob = blobs.put("a");
  blobs.remove(blob);
  blobs.remove(blob);
  blobs.remove(sha256("never there"));
  CHECK_FALSE(blobs.size(blob));
  CHECK(blobs.list().blobs.empty());
  CHECK(code_of([&] { blobs.get(blob); }) == ExitCode::Store);
}

TEST_CASE("a blob that is missing cannot be synced") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  blobs.sync({});
  CHECK(code_of([&] { blobs.sync({sha256("a")}); }) == ExitCode::Disk);
  const Digest there = blobs.put("b");
  CHECK(code_of([&] { blobs.sync({there, sha256("a")}); }) == ExitCode::Disk);
}

TEST_CASE("a flipped byte is noticed, wherever it is") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const std::string bytes = random_bytes(4096, 2);
  const Digest blob = blobs.put(bytes);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    CAPTURE(at);
    overwrite(blobs.path(blob), at, static_cast<char>(bytes[at] ^ (1 << at % 8)));
    CHECK(code_of([&] { blobs.get(blob); }) == ExitCode::Store);
    overwrite(blobs.path(blob), at, bytes[at]);
  }
  CHECK(blobs.get(blob) == bytes);
}

TEST_CASE("no truncation of a blob passes for the whole, nor does a longer one") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const std::string bytes = random_bytes(8192, 3);
  const Digest blob = blobs.put(bytes);
  fs::resize_file(blobs.path(blob), bytes.size() + 1);
  CHECK(code_of([&] { blobs.get(blob); }) == ExitCode::Store);
  for (std::size_t size = bytes.size(); size-- > 0;) {
    CAPTURE(size);
    fs::resize_file(blobs.path(blob), size);
    CHECK(code_of([&] { blobs.get(blob); }) == ExitCode::Store);
  }
}

TEST_CASE("putting it again mends a blob that was damaged") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const Digest blob = blobs.put("whole");
  fs::resize_file(blobs.path(blob), 0);  // as a power cut may leave it
  CHECK(blobs.put("whole") == blob);
  CHECK(blobs.get(blob) == "whole");
}

TEST_CASE("a blob may be as large as the limit, and a larger one is not read") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const Digest blob = blobs.put("12345");
  CHECK(blobs.get(blob, 5) == "12345");
  CHECK(code_of([&] { blobs.get(blob, 4); }) == ExitCode::Store);
  // A hole of 4 TiB: reading it would end us.
  fs::resize_file(blobs.path(blob), std::uintmax_t{1} << 42);
  CHECK(code_of([&] { blobs.get(blob); }) == ExitCode::Store);
}

TEST_CASE("what is no regular file is no blob, and nobody waits for it") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path() / "store");
  const Digest pipe = blobs.put("pipe");
  const Digest link = blobs.put("link");
  const Digest directory = blobs.put("directory");
  for (const Digest& blob : {pipe, link, directory}) blobs.remove(blob);
  write_atomically(folder.path() / "outside", "link");
  REQUIRE(::mkfifo(blobs.path(pipe).c_str(), 0600) == 0);
  fs::create_symlink(folder.path() / "outside", blobs.path(link));
  fs::create_directory(blobs.path(directory));
  for (const Digest& blob : {pipe, link, directory}) {
    CHECK_FALSE(blobs.size(blob));
    CHECK(code_of([&] { blobs.get(blob); }) == ExitCode::Store);
    CHECK(code_of([&] { blobs.sync({blob}); }) == ExitCode::Disk);
  }
  CHECK(blobs.list().blobs.empty());
  CHECK(blobs.list().leftovers.size() == 3);
}

TEST_CASE("nothing is written through a link out of the folder") {
  const TemporaryFolder folder;
  const fs::path outside = folder.path() / "outside";
  fs::create_directory(outside);
  const Blobs blobs(folder.path() / "store");

  SUBCASE("in place of blobs") {
    fs::create_directory(folder.path() / "store");
    fs::create_symlink(outside, folder.path() / "store" / "blobs");
    CHECK(code_of([&] { blobs.put("a"); }) == ExitCode::Store);
  }
  SUBCASE("in place of a folder below it") {
    const fs::path below = blobs.path(sha256("a")).parent_path();
    fs::create_directories(below.parent_path());
    fs::create_symlink(outside, below);
    CHECK(code_of([&] { blobs.put("a"); }) == ExitCode::Store);
  }
  SUBCASE("in place of a blob, which takes its place") {
    const Digest blob = blobs.put("a");
    blobs.remove(blob);
    fs::create_symlink(outside / "file", blobs.path(blob));
    blobs.put("a");
    CHECK(blobs.get(blob) == "a");
  }
  CHECK(fs::is_empty(outside));
}

TEST_CASE("a folder that cannot be made is an error of the disk") {
  const TemporaryFolder folder;
  write_atomically(folder.path() / "file", "x");
  CHECK(code_of([&] { Blobs(folder.path() / "file").put("a"); }) == ExitCode::Disk);
}

TEST_CASE("a put that fails leaves nothing beside it") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const fs::path target = blobs.path(sha256("a"));
  fs::create_directories(target / "inside");  // a file cannot take its place
  CHECK(code_of([&] { blobs.put("a"); }) == ExitCode::Disk);
  CHECK(blobs.list().leftovers == std::vector<fs::path>{target});
}

TEST_CASE("what writers that died left, and what is no blob's, is listed") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const Digest blob = blobs.put("a");
  const fs::path file = blobs.path(blob);
  const fs::path below = file.parent_path();
  const std::string hex = blob.hex();
  std::string capitals = hex;
  for (char& digit : capitals)
    if (digit >= 'a') digit = static_cast<char>(digit - 'a' + 'A');
  REQUIRE(capitals != hex);
  fs::create_directory(folder.path() / "blobs" / "ab");
  std::vector<fs::path> leftovers = {
      fs::path(file) += ".tmp-12-0",
      below / hex.substr(1),
      below / capitals,
      folder.path() / "blobs" / "README",
      folder.path() / "blobs" / "a",
      folder.path() / "blobs" / "ab" / hex,
      folder.path() / "blobs" / "0g",
      folder.path() / "blobs" / "0a",
  };
  REQUIRE(hex.substr(0, 2) != "ab");
  for (const fs::path& path : leftovers) write_atomically(path, "a");
  // A folder elsewhere, whose blobs are not ours to list or to remove.
  fs::create_directory_symlink(below, folder.path() / "blobs" / "0b");
  leftovers.push_back(folder.path() / "blobs" / "0b");
  leftovers.push_back(folder.path() / "blobs" / "AB");
  fs::create_directories(leftovers.back() / "entered");

  auto listing = blobs.list();
  CHECK(listing.blobs == std::vector{blob});
  std::sort(leftovers.begin(), leftovers.end());
  std::sort(listing.leftovers.begin(), listing.leftovers.end());
  CHECK(listing.leftovers == leftovers);
}

TEST_CASE("a temporary file of a dead process with our number is neither used nor removed") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const fs::path file = blobs.path(sha256("a"));
  fs::create_directories(file.parent_path());
  // In a child, so that its number is not ours; the count goes on where it was, which is small.
  const pid_t child = fork_child([&] {
    for (int count = 0; count < 1000; ++count) {
      const fs::path stale = fs::path(file) +=
          ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(count);
      std::ofstream(stale) << "stale";
    }
    blobs.put("a");
  });
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(blobs.get(sha256("a")) == "a");
  CHECK(blobs.list().leftovers.size() == 1000);
}

TEST_CASE("whoever puts the same bytes at the same time, they are there as a whole") {
  const TemporaryFolder folder;
  const Blobs blobs(folder.path());
  const std::string bytes = random_bytes(100'000, 4);
  const Digest blob = sha256(bytes);
  constexpr int kPuts = 25;
  // Counted rather than checked: doctest's checks are not what is tested here.
  std::atomic<int> wrong{0};
  const auto put_and_get = [&] {
    for (int i = 0; i < kPuts; ++i) {
      try {
        const Digest put = blobs.put(bytes);
        blobs.put(std::to_string(i));
        blobs.sync({put});
        if (put != blob || blobs.get(put) != bytes) ++wrong;
      } catch (const Error&) {
        ++wrong;
      }
    }
  };
  const pid_t child = fork_child([&] {
    put_and_get();
    if (wrong > 0) ::_exit(2);
  });
  std::thread first(put_and_get);
  std::thread second(put_and_get);
  first.join();
  second.join();
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(wrong == 0);
  CHECK(blobs.list().blobs.size() == kPuts + 1);
  CHECK(blobs.list().leftovers.empty());
}
