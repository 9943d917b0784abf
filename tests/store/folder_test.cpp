#include "store/folder.h"

#include <csignal>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <sqlite3.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/store/store.h"
#include "store/fixture.h"

using namespace perturb;
using namespace perturb::fixture;
namespace fs = std::filesystem;

namespace {

using Access = Store::Access;

template <typename Work>
Error error_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return {ExitCode::Done, "no error"};
}

/// Runs `work` in a child process, which has to end in `die`.
template <typename Work>
void in_killed_process(const Work& work) {
  const pid_t child = fork_child(work);
  REQUIRE(child >= 0);
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
}

/// No destructor runs, nothing is flushed.
void die() { ::kill(::getpid(), SIGKILL); }

Store filled(const fs::path& folder, std::int64_t count = 4) {
  Store store = Store::open(folder, Access::Write);
  declare(store, experiment(), members());
  const RunId run = begin_run(store);
  for (std::int64_t number = 0; number < count; ++number) store.keep(run, record(number));
  store.flush();
  return store;
}

}  // namespace

TEST_CASE("a store is there for the next process") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a" / "store";
  CHECK_FALSE(Store::exists(path));
  std::string before;
  {
    const Store store = filled(path);
    before = ask(store, "select * from results");
    CHECK(store.folder() == path);
  }
  CHECK(Store::exists(path));
  CHECK(ask(Store::open(path, Access::Read), "select * from results") == before);
  CHECK(ask(Store::open(path, Access::Write), "select * from results") == before);
}

TEST_CASE("its folder is kept out of git, but not one that was there before") {
  const TemporaryFolder folder;
  Store::open(folder.path() / "new", Access::Write);
  CHECK(read_file(folder.path() / "new" / ".gitignore", 10) == "*\n");
  fs::create_directory(folder.path() / "old");
  std::ofstream(folder.path() / "old" / "notes") << "mine";
  Store::open(folder.path() / "old", Access::Write);
  CHECK_FALSE(fs::exists(folder.path() / "old" / ".gitignore"));
}

TEST_CASE("reading makes nothing, and says what to do where there is nothing") {
  const TemporaryFolder folder;
  const Error error = error_of([&] { Store::open(folder.path() / "x", Access::Read); });
  CHECK(error.code() == ExitCode::Usage);
  CHECK(error.advice().find("perturb run") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.path() / "x"));
}

TEST_CASE("there is one writer, and a second one is told who it is") {
  const TemporaryFolder folder;
  std::optional<Store> store = filled(folder.path());
  const Error error = error_of([&] { Store::open(folder.path(), Access::Write); });
  CHECK(error.code() == ExitCode::Locked);
  CHECK(std::string(error.what()).find("process " + std::to_string(::getpid())) !=
        std::string::npos);
  store.reset();
  CHECK_NOTHROW(Store::open(folder.path(), Access::Write));
}

TEST_CASE("a reader beside the writer sees what was flushed, and only whole records") {
  const TemporaryFolder folder;
  Store writer = filled(folder.path(), 1);
  const Store reader = Store::open(folder.path(), Access::Read);
  const RunId run = begin_run(writer);
  for (std::int64_t number = 1; number < 200; ++number) {
    writer.keep(run, record(number % 4, 2 + static_cast<int>(number)));
    if (number % 20 == 0) writer.flush();
    // Every done trial has all of its rows.
    CHECK(ask(reader,
              "select count(*) from trials as t where outcome = 'done' and 2 * (1 + step / 100) "
              "<> (select count(*) from results as r where r.number = t.number)") == "0\n");
  }
  writer.flush();
  CHECK(ask(reader, "select * from results") == ask(writer, "select * from results"));
}

TEST_CASE("what was flushed survives a killed writer, and the rest is whole or absent") {
  const TemporaryFolder folder;
  constexpr std::int64_t kFlushed = 5;
  in_killed_process([&] {
    Store store = Store::open(folder.path(), Access::Write);
    declare(store, experiment(), members(20));
    const RunId run = begin_run(store);
    for (std::int64_t number = 0; number < kFlushed; ++number) store.keep(run, record(number));
    store.flush();
    for (std::int64_t number = kFlushed; number < 20; ++number) store.keep(run, record(number));
    die();
  });
  for (const Access access : {Access::Read, Access::Write}) {
    const Store store = Store::open(folder.path(), access);
    std::vector<Digest> trials;
    for (std::int64_t number = 0; number < 20; ++number) trials.push_back(trial(number));
    const auto known = store.known(trials, {kAccuracy, kLoss});
    for (std::int64_t number = 0; number < kFlushed; ++number) CHECK(known.contains(trial(number)));
    for (const auto& [digest, each] : known) CHECK(each.measured.size() == 6);
    CHECK(ask(store, "select outcome from runs") == (access == Access::Read ? "null\n" : "died\n"));
  }
}

TEST_CASE("a writer may be killed at any moment") {
  const TemporaryFolder folder;
  std::size_t acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const pid_t child = fork_child([&] {
      Store store = Store::open(folder.path(), Access::Write);
      declare(store, experiment("kill", std::to_string(round)), members(1000));
      const RunId run = begin_run(store);
      for (std::int64_t number = 100 * round;; ++number) {
        store.keep(run, record(number));
        if (number % 3 != 0) continue;
        store.flush();
        if (::write(pipe[1], "x", 1) != 1) return;
      }
    });
    REQUIRE(child >= 0);
    ::close(pipe[1]);
    // Each round lets the child get a little further before it is killed.
    char byte = 0;
    std::size_t flushed = 0;
    while (flushed < static_cast<std::size_t>(round) && ::read(pipe[0], &byte, 1) == 1) ++flushed;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(pipe[0], &byte, 1) == 1) ++flushed;
    ::close(pipe[0]);
    acknowledged += flushed;

    if (!Store::exists(folder.path())) continue;
    const Store store = Store::open(folder.path(), Access::Write);
    CHECK(ask(store,
              "select count(*) from all_trials as t where outcome is not null and 6 <> "
              "(select count(*) from trial_states as s join measurements as v using (state) "
              "where s.trial = t.id)") == "0\n");
    const Table table = store.query("select count(*) from all_trials where outcome = 'done'");
    CHECK(std::get<std::int64_t>(table.rows[0][0]) >= static_cast<std::int64_t>(acknowledged));
  }
  CHECK(acknowledged > 20);
}

TEST_CASE("a closed store can be read by who may not write to its folder") {
  const TemporaryFolder folder;
  const std::string before = ask(filled(folder.path()), "select * from results");
  constexpr uid_t kNobody = 65534;
  const auto allow = [&](fs::perms folder_permissions) {
    for (const auto& entry : fs::directory_iterator(folder.path()))
      fs::permissions(entry.path(), fs::perms(0444));
    fs::permissions(folder.path(), folder_permissions);
  };
  allow(fs::perms(0555));
  const pid_t child = fork_child([&] {
    // Permissions do not bind root.
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) ::_exit(2);
    const bool same =
        ask(Store::open(folder.path(), Access::Read), "select * from results") == before;
    const Error error = error_of([&] { Store::open(folder.path(), Access::Write); });
    ::_exit(same && error.code() == ExitCode::Disk ? 0 : 3);
  });
  REQUIRE(child >= 0);
  int status = 0;
  ::waitpid(child, &status, 0);
  fs::permissions(folder.path(), fs::perms(0755));
  CHECK(status == 0);
}

TEST_CASE("nothing that is not ours is overwritten") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "results.db";
  const auto refused = [&](const std::string& content) {
    write_atomically(file, content);
    for (const Access access : {Access::Read, Access::Write}) {
      const Error error = error_of([&] { Store::open(folder.path(), access); });
      CHECK(error.code() == ExitCode::Store);
      CHECK_FALSE(error.advice().empty());
    }
    CHECK(read_file(file, 1 << 20) == content);
  };
  refused("");
  refused("these are my notes\n");
  refused(std::string(5000, 'x'));
  {
    const TemporaryFolder other;
    const Store made = filled(other.path());
  }
  fs::remove(file);
  // A database, but another program's.
  sqlite3* theirs = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &theirs) == SQLITE_OK);
  REQUIRE(sqlite3_exec(theirs, "create table mine (x)", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(theirs);
  refused(read_file(file, 1 << 20));
}

TEST_CASE("the log of a database that is gone is not replayed into a new one") {
  const TemporaryFolder folder;
  in_killed_process([&] {
    Store store = filled(folder.path());
    fs::remove(folder.path() / "results.db");
    die();
  });
  CHECK(error_of([&] { Store::open(folder.path(), Access::Write); }).code() == ExitCode::Store);
  CHECK_FALSE(fs::exists(folder.path() / "results.db"));
}

TEST_CASE("a creation that was cut short is begun anew") {
  const TemporaryFolder folder;
  write_atomically(folder.path() / "results.db.new", "half a dat");
  CHECK_NOTHROW(Store::open(folder.path(), Access::Write));
}

TEST_CASE("file systems of several hosts do without shared memory") {
  CHECK(may_be_shared(0x6969));            // NFS
  CHECK_FALSE(may_be_shared(0xEF53));      // ext4
  CHECK_FALSE(may_be_shared(0x01021994));  // tmpfs
  CHECK(journal_mode_for("/dev/shm") == "wal");
}
