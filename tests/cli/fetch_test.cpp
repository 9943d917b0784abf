// What is put in place has been checked, whatever the web delivers. The web is a map here.
#include "cli/fetch.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <stdlib.h>

#include "catalog/archives.h"
#include "perturb/core/digest.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"

using namespace perturb;
namespace fs = std::filesystem;

namespace {

std::map<std::string, std::string> web;  // address -> bytes
std::vector<std::string> asked;

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "perturb-fetch-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path = name;
    web.clear();
    asked.clear();
  }
  ~Folder() { fs::remove_all(path); }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.path().filename() != ".lock") found.push_back(entry.path().filename());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  fs::path path;
};

const std::string kFirst(700, 'a'), kSecond(300, 'b');
const std::string kFirstSum = sha256(kFirst).hex(), kSecondSum = sha256(kSecond).hex();
const std::string kArchive = gzipped(tar_entry("set/", "", '5') + tar_entry("set/first", kFirst) +
                                     tar_entry("set/readme", "read me") +
                                     tar_entry("set/second", kSecond) + std::string(1024, '\0'));
const std::string kArchiveSum = sha256(kArchive).hex();

DataSource one_by_one() {
  DataSource source;
  source.kind = "letters";
  source.files = {{"first", kFirst.size(), kFirstSum, true},
                  {"second", kSecond.size(), kSecondSum, false}};
  source.addresses = {"http://official/", "http://mirror"};
  return source;
}

DataSource in_archive() {
  DataSource source = one_by_one();
  source.archive = {"set.tar.gz", kArchive.size(), kArchiveSum, true};
  return source;
}

FetchOptions into(const Folder& folder) {
  FetchOptions options;
  options.folder = folder.path;
  return options;
}

ExitCode refusal(const DataSource& source, const FetchOptions& options) {
  try {
    fetch(source, options);
    return ExitCode::Done;
  } catch (const Error& error) {
    CHECK(error.advice() != "");
    return error.code();
  }
}

}  // namespace

// Stands in for the one in src/cli/download.cpp.
std::string perturb::download(const std::string& address, const fs::path& to, std::int64_t most,
                              const Meter&) {
  asked.push_back(address);
  const auto found = web.find(address);
  std::ofstream file(to, std::ios::binary);
  if (found == web.end()) {
    file << "half of i";  // a transfer that breaks off has left something behind
    return "the line went dead";
  }
  if (std::ssize(found->second) > most) return "it is too large";
  file << found->second;
  return "";
}

TEST_CASE("files are fetched one by one and kept as they came") {
  const Folder folder;
  web["http://official/first.gz"] = gzipped(kFirst);
  web["http://official/second.gz"] = gzipped(kSecond);
  const auto files = fetch(one_by_one(), into(folder));
  CHECK(files == std::vector<fs::path>{folder.path / "first.gz", folder.path / "second.gz"});
  CHECK(folder.names() == std::vector<std::string>{"first.gz", "second.gz"});
  CHECK(read_maybe_gzip(files[0], 1000) == kFirst);
}

TEST_CASE("an archive leaves the files of the data set and nothing else") {
  const Folder folder;
  web["http://official/set.tar.gz"] = kArchive;
  const auto files = fetch(in_archive(), into(folder));
  CHECK(files == std::vector<fs::path>{folder.path / "first", folder.path / "second"});
  CHECK(folder.names() == std::vector<std::string>{"first", "second"});
  CHECK(read_file(files[1], 1000) == kSecond);
}

TEST_CASE("where one address fails or lies, the next is asked") {
  for (const std::string& lie : {std::string(), gzipped(kSecond), std::string("<html>")}) {
    const Folder folder;
    if (!lie.empty()) web["http://official/first.gz"] = lie;
    web["http://mirror/first.gz"] = gzipped(kFirst);
    web["http://official/second.gz"] = gzipped(kSecond);
    const auto files = fetch(one_by_one(), into(folder));
    CHECK(read_maybe_gzip(files[0], 1000) == kFirst);
    CHECK(asked == std::vector<std::string>{"http://official/first.gz", "http://mirror/first.gz",
                                            "http://official/second.gz"});
  }
}

TEST_CASE("nothing is put in place that is not the official content") {
  const Folder folder;
  CHECK(refusal(one_by_one(), into(folder)) == ExitCode::Disk);
  web["http://mirror/first.gz"] = gzipped(kFirst + "!");
  CHECK(refusal(one_by_one(), into(folder)) == ExitCode::Found);
  web["http://official/set.tar.gz"] = kArchive.substr(0, kArchive.size() - 1);
  CHECK(refusal(in_archive(), into(folder)) == ExitCode::Found);
  CHECK(folder.names().empty());
}

TEST_CASE("an archive that has the right sum but other files is refused") {
  const Folder folder;
  DataSource source = in_archive();
  source.files[1].sha256 = kFirstSum;
  web["http://official/set.tar.gz"] = kArchive;
  CHECK_THROWS_AS(fetch(source, into(folder)), Error);
  CHECK_FALSE(fs::exists(folder.path / "second"));
}

TEST_CASE("what is there with the right content is kept, packed or not; the rest is fetched") {
  const Folder folder;
  std::ofstream(folder.path / "first") << kFirst;
  web["http://official/second.gz"] = gzipped(kSecond);
  const std::vector<fs::path> expected = {folder.path / "first", folder.path / "second.gz"};
  CHECK(fetch(one_by_one(), into(folder)) == expected);
  CHECK(fetch(one_by_one(), into(folder)) == expected);
  CHECK(asked == std::vector<std::string>{"http://official/second.gz"});
}

TEST_CASE("files with other content are left alone: they may be somebody's data") {
  for (const char* name : {"second", "second.gz"}) {
    const Folder folder;
    std::ofstream(folder.path / name) << "mine";
    web["http://official/first.gz"] = gzipped(kFirst);
    web["http://official/second.gz"] = gzipped(kSecond);
    CHECK(refusal(one_by_one(), into(folder)) == ExitCode::Usage);
    CHECK(asked.empty());
    CHECK(read_file(folder.path / name, 1000) == "mine");
  }
}

TEST_CASE("addresses that are no web folders are refused before anything is made") {
  const Folder folder;
  for (const char* address : {"ftp://x/", "/etc/", "x", "", "file://host/x", "HTTP:/x"}) {
    CAPTURE(address);
    auto options = into(folder);
    options.folder = folder.path / "new";
    options.addresses = {address};
    CHECK(refusal(one_by_one(), options) == ExitCode::Usage);
    CHECK_FALSE(fs::exists(options.folder));
  }
  CHECK(asked.empty());
}
