// Data are found where they are said to be found, told apart by content where names do not
// tell, and known by what they decode to.
#include "perturb/catalog/data_files.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>
#include <stdlib.h>

#include "catalog/archives.h"
#include "perturb/catalog/catalog.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"

using namespace perturb;
namespace fs = std::filesystem;

namespace {

/// An empty folder in which HOME and the current folder are, gone afterwards.
class Sandbox {
 public:
  Sandbox() {
    std::string name = (fs::temp_directory_path() / "perturb-data-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    root = fs::canonical(name);
    former_ = fs::current_path();
    fs::current_path(root);
    setenv("HOME", root.c_str(), 1);
    for (const char* name_of_variable : {"XDG_DATA_HOME", "XDG_CACHE_HOME", "PERTURB_DATA"}) {
      unsetenv(name_of_variable);
    }
  }
  ~Sandbox() {
    fs::current_path(former_);
    fs::remove_all(root);
  }
  fs::path root;

 private:
  fs::path former_;
};

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string images(std::uint32_t count, char pixel) {
  return std::string("\0\0\x08\x03", 4) + big_endian(count) + big_endian(28) + big_endian(28) +
         std::string(count * 784, pixel);
}
std::string labels(std::uint32_t count, char label = 7) {
  return std::string("\0\0\x08\x01", 4) + big_endian(count) + std::string(count, label);
}

/// Four files in MNIST's form: 5 examples to train on, 3 to test.
void write_digits(const fs::path& folder, char pixel = 'p', bool packed = false) {
  const auto put = [&](const std::string& name, const std::string& bytes) {
    write(folder / (name + (packed ? ".gz" : "")), packed ? gzipped(bytes) : bytes);
  };
  put("train-images-idx3-ubyte", images(5, pixel));
  put("train-labels-idx1-ubyte", labels(5));
  put("t10k-images-idx3-ubyte", images(3, pixel));
  put("t10k-labels-idx1-ubyte", labels(3));
}

Condition condition(const std::string& kind, const std::map<std::string, Value>& changes = {}) {
  Condition result;
  result.set("data.kind", Value(kind));
  const Schema schema = builtin_schema();
  for (const auto& parameter : schema.find(Family::Data, kind)->parameters) {
    if (parameter.fallback) result.set("data." + parameter.name, *parameter.fallback);
  }
  for (const auto& [name, value] : changes) result.set("data." + name, value);
  return result;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Longer ago than files are thought too young to be remembered.
void age(const fs::path& path) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
}

}  // namespace

TEST_CASE("sources: names are kinds of data, checksums are checksums") {
  const Schema schema = builtin_schema();
  for (const auto& source : data_sources()) {
    CAPTURE(source.kind);
    CHECK(schema.find(Family::Data, source.kind));
    CHECK(find_source(source.kind) == &source);
    CHECK_FALSE(source.folders.empty());
    CHECK_FALSE(source.addresses.empty());
    for (const auto& address : source.addresses) CHECK(address.ends_with('/'));
    for (const auto& file : source.files) {
      CHECK(Digest::from_hex(file.sha256).has_value());
      CHECK(file.bytes > 0);
    }
  }
  CHECK(find_source("iris") == nullptr);
}

TEST_CASE("folders are searched in the order that is promised") {
  const Sandbox box;
  setenv("PERTURB_DATA", "/one:/two", 1);
  const auto folders = data_folders({.folders = {"/given/"}, .beside = box.root / "experiments"});
  const std::vector<fs::path> expected = {"/given",
                                          "/one",
                                          "/two",
                                          box.root / "experiments/data",
                                          box.root / "data",
                                          box.root / ".local/share/perturb"};
  REQUIRE(folders.size() > expected.size());
  CHECK(std::vector<fs::path>(folders.begin(), folders.begin() + std::ssize(expected)) == expected);
  unsetenv("PERTURB_DATA");
  // The current folder is the experiment's: one place, named once.
  CHECK(data_folders({}).front() == box.root / "data");
  CHECK(data_folders({})[1] == box.root / ".local/share/perturb");

  setenv("XDG_DATA_HOME", "/elsewhere", 1);
  CHECK(user_data_folder() == "/elsewhere/perturb");
  setenv("XDG_DATA_HOME", "relative", 1);  // to be ignored, says the standard
  CHECK(user_data_folder() == box.root / ".local/share/perturb");
}

TEST_CASE("a subfolder of the data set's name is believed, packed or not") {
  const Sandbox box;
  for (const bool packed : {false, true}) {
    for (const char* name : {"mnist", "MNIST/raw"}) {
      CAPTURE(name);
      fs::remove_all(box.root / "data");
      write_digits(box.root / "data" / name, 'p', packed);
      const auto located = locate("mnist", {box.root / "data"});
      CHECK(located.complete);
      REQUIRE(located.files.size() == 4);
      CHECK(located.files[0].parent_path() == box.root / "data" / name);
      CHECK(located.files[0].filename().string().starts_with("train-images"));
      CHECK_FALSE(locate("fashion-mnist", {box.root / "data"}).complete);
      // The folder itself may be named on the command line, too.
      CHECK(locate("mnist", {box.root / "data" / name}).complete);
    }
  }
}

TEST_CASE("files in a folder of another name need the official content") {
  const Sandbox box;
  write_digits(box.root / "flat");
  for (const char* kind : {"mnist", "fashion-mnist"}) {
    const auto located = locate(kind, {box.root / "flat"});
    CHECK_FALSE(located.complete);
    CHECK(contains(located.remark, (box.root / "flat").string()));
    CHECK(contains(how_to_get(kind, located), "subfolder " + std::string(kind)));
  }
}

TEST_CASE("the official files in a flat folder are told apart by content") {
  const Sandbox box;
  const auto installed = locate("fashion-mnist", data_folders({}));
  if (!installed.complete) {
    MESSAGE("skipped: Fashion-MNIST is not on this machine");
    return;
  }
  fs::create_directories(box.root / "flat");
  for (const auto& file : installed.files) {
    fs::create_symlink(file, box.root / "flat" / file.filename());
  }
  CHECK(locate("fashion-mnist", {box.root / "flat"}).complete);
  CHECK_FALSE(locate("mnist", {box.root / "flat"}).complete);
}

TEST_CASE("an incomplete folder is passed over, and spoken of if nothing better comes") {
  const Sandbox box;
  write_digits(box.root / "a/mnist");
  fs::remove(box.root / "a/mnist/t10k-images-idx3-ubyte");
  const auto alone = locate("mnist", {box.root / "a"});
  CHECK_FALSE(alone.complete);
  CHECK(contains(alone.remark, "only 3 of the 4 files"));
  write_digits(box.root / "b/mnist");
  const auto both = locate("mnist", {box.root / "a", box.root / "b"});
  CHECK(both.complete);
  CHECK(both.files[0].parent_path() == box.root / "b/mnist");
}

TEST_CASE("cifar10's files have names of their own") {
  const Sandbox box;
  const std::string batch(2 * 3073, '\3');
  for (const char* place : {"data/cifar10", "data/cifar-10-batches-bin", "data"}) {
    fs::remove_all(box.root / "data");
    for (const auto& file : find_source("cifar10")->files)
      write(box.root / place / file.name, batch);
    CHECK(locate("cifar10", {box.root / "data"}).complete);
    const auto known = facts(condition("cifar10"), {});
    CHECK(known.missing == "");
    CHECK(known.train == 10);
    CHECK(known.test == 2);
  }
}

TEST_CASE("facts: counts come from the headers, and the limit applies to training alone") {
  const Sandbox box;
  write_digits(box.root / "data/mnist");
  const auto all = facts(condition("mnist"), {});
  CHECK(all.missing == "");
  CHECK(all.train == 5);
  CHECK(all.test == 3);
  const auto some = facts(condition("mnist", {{"train_examples", 2}}), {});
  CHECK(some.train == 2);
  CHECK(some.test == 3);
  CHECK(some.digest == all.digest);  // the limit is a field of the condition
  CHECK(facts(condition("mnist", {{"train_examples", 99}}), {}).train == 5);
}

TEST_CASE("facts: the digest is that of the content, packed or not, wherever it lies") {
  const Sandbox box;
  const auto digest = [&](const fs::path& folder) {
    const auto known = facts(condition("mnist"), {.folders = {folder}, .beside = {}});
    CHECK(known.missing == "");
    return known.digest;
  };
  write_digits(box.root / "plain/mnist");
  write_digits(box.root / "packed/mnist", 'p', true);
  write_digits(box.root / "other/mnist", 'q');
  CHECK(digest(box.root / "plain") == digest(box.root / "packed"));
  CHECK(digest(box.root / "plain") != digest(box.root / "other"));
  CHECK(digest(box.root / "plain") != Digest{});

  const auto before = digest(box.root / "plain");
  write(box.root / "plain/mnist/t10k-labels-idx1-ubyte", labels(3, 8));  // one label's value
  CHECK(digest(box.root / "plain") != before);
}

TEST_CASE("facts: data that are not there or not whole are missing, and it is said why") {
  const Sandbox box;
  const auto missing = [&](const std::string& kind = "mnist") {
    const auto known = facts(condition(kind), {});
    CHECK((known.train == 0) == !known.missing.empty());
    return known.missing;
  };
  const std::string nowhere = missing();
  CHECK(contains(nowhere, (box.root / "data").string()));
  CHECK(contains(nowhere, "perturb data fetch mnist"));

  const fs::path folder = box.root / "data/mnist";
  write_digits(folder);
  CHECK(missing("mnist") == "");
  write(folder / "train-images-idx3-ubyte", images(5, 'p').substr(0, 1000));
  CHECK(contains(missing(), "train-images-idx3-ubyte"));
  write(folder / "train-images-idx3-ubyte", images(6, 'p'));
  CHECK(contains(missing(), "5 labels for 6 images"));
  write(folder / "train-images-idx3-ubyte", images(5, 'p'));
  write(folder / "train-labels-idx1-ubyte", labels(5, 10));
  CHECK(contains(missing(), "a label of 10"));
  const std::string packed = gzipped(labels(5));
  fs::remove(folder / "train-labels-idx1-ubyte");
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{5}, packed.size() / 2, packed.size() - 1}) {
    write(folder / "train-labels-idx1-ubyte.gz", packed.substr(0, length));
    CHECK(missing() != "");
  }
  write(folder / "train-labels-idx1-ubyte.gz", packed);
  CHECK(missing() == "");
}

TEST_CASE("facts: csv") {
  const Sandbox box;
  write(box.root / "x/table.csv", "a,y\n1,u\n2,v\n3,u\n4,v\n5,u\n");
  const DataOptions beside{.folders = {}, .beside = box.root / "x"};
  const auto known = facts(condition("csv", {{"file", "table.csv"}}), beside);
  CHECK(known.missing == "");
  CHECK(known.train == 4);
  CHECK(known.test == 1);
  CHECK(known.digest == sha256("a,y\n1,u\n2,v\n3,u\n4,v\n5,u\n"));
  CHECK(facts(condition("csv", {{"file", "table.csv"}, {"test_fraction", 0.5}}), beside).test == 3);

  const auto missing = [&](std::map<std::string, Value> changes) {
    changes.emplace("file", "table.csv");
    return facts(condition("csv", changes), beside).missing;
  };
  CHECK(contains(missing({{"file", "tabel.csv"}}), "there is no file"));
  CHECK(contains(missing({{"test_fraction", 0.05}}), "leaves none to test on"));
  CHECK(contains(missing({{"test_fraction", 0.95}}), "leaves none to train on"));
  CHECK(contains(missing({{"target", "z"}}), "no column \"z\""));
  CHECK(contains(missing({{"header", false}}), "is not a number"));
  CHECK(facts(condition("csv", {{"file", "."}}), beside).missing != "");
}

TEST_CASE("facts: built-in and generated data have counts and no digest") {
  const auto iris = facts(condition("iris"), {});
  CHECK((iris.train == 120 && iris.test == 30 && iris.digest == Digest{} && iris.missing == ""));
  CHECK(facts(condition("iris", {{"test_fraction", 0.001}}), {}).missing != "");
  const auto blobs = facts(condition("gaussian-blobs", {{"train_examples", 10}}), {});
  CHECK((blobs.train == 10 && blobs.test == 500 && blobs.digest == Digest{}));
}

TEST_CASE("what was computed is remembered, and used, until the file changes") {
  const Sandbox box;
  const fs::path table = box.root / "table.csv";
  const auto wanted = condition("csv", {{"file", table.string()}});
  const fs::path memory = user_cache_folder() / "digests";

  write(table, "a,y\n1,u\n2,v\n4,u\n");
  facts(wanted, {});
  CHECK_FALSE(fs::exists(memory));  // too young: it might change within the clock's tick

  age(table);
  const auto first = facts(wanted, {});
  REQUIRE(fs::exists(memory));
  // Believed without reading the file: a memory that says something else is what comes back.
  std::string text = read_file(memory, 1 << 20);
  const std::string other = sha256("something else").hex();
  const auto line = text.substr(text.find(' ') + 1);
  std::string changed = line;
  changed.replace(changed.find(first.digest.hex()), 64, other);
  changed.pop_back();
  write(memory, sha256(changed).brief() + ' ' + changed + '\n');
  CHECK(facts(wanted, {}).digest.hex() == other);

  // The same size, and the time set back to what it was: the change of status gives it away.
  const auto time = fs::last_write_time(table);
  write(table, "a,y\n1,u\n3,v\n4,u\n");
  fs::last_write_time(table, time);
  CHECK(facts(wanted, {}).digest == sha256("a,y\n1,u\n3,v\n4,u\n"));
}

TEST_CASE("a damaged memory costs time and nothing else") {
  const Sandbox box;
  const fs::path table = box.root / "table.csv";
  const auto wanted = condition("csv", {{"file", table.string()}});
  write(table, "a,y\n1,u\n2,v\n4,u\n");
  age(table);
  const auto right = facts(wanted, {}).digest;
  const fs::path memory = user_cache_folder() / "digests";
  const std::string whole = read_file(memory, 1 << 20);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write(memory, damaged);
    CHECK(facts(wanted, {}).digest == right);
    write(memory, whole.substr(0, at));
    CHECK(facts(wanted, {}).digest == right);
  }
  write(memory, "\n\n \n x y z \n" + std::string(1000, '\0'));
  CHECK(facts(wanted, {}).digest == right);
}

TEST_CASE("a memory that cannot be written to is done without") {
  const Sandbox box;
  const fs::path table = box.root / "table.csv";
  write(table, "a,y\n1,u\n2,v\n4,u\n");
  age(table);
  const auto wanted = condition("csv", {{"file", table.string()}});
  write(box.root / ".cache", "a file where the folder should be");
  CHECK(facts(wanted, {}).missing == "");
  unsetenv("HOME");
  CHECK(user_cache_folder().empty());
  CHECK(facts(wanted, {}).missing == "");
}
