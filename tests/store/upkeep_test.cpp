#include "perturb/store/upkeep.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/core/safetensors.h"
#include "store/fixture.h"
#include "store/folder.h"
#include "store/sqlite.h"

using namespace perturb;
using namespace perturb::fixture;
namespace fs = std::filesystem;

namespace {

using Access = Store::Access;
using Kind = Finding::Kind;

/// A checkpoint of a trial: the names in it make it another one's or not.
std::string checkpoint_bytes(std::int64_t number, std::int64_t step) {
  const std::string data(64, static_cast<char>(number + 1));
  return write_safetensors({{"weight", "F32", {4, 4}, data}},
                           {{"step", std::to_string(step)}, {"trial", std::to_string(number)}});
}

Digest blob(std::int64_t number, std::int64_t step) {
  return sha256(checkpoint_bytes(number, step));
}

Digest state(std::int64_t number, std::int64_t step) {
  return sha256("state " + std::to_string(number) + " " + std::to_string(step));
}

/// `record`, with a checkpoint at the end of every epoch.
Record saving(const Store& store, std::int64_t number, int epochs = 2) {
  Record all = record(number, epochs);
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    const std::int64_t step = 100 * epoch;
    const std::string bytes = checkpoint_bytes(number, step);
    store.blobs().put(bytes);
    all.saved.push_back({step, static_cast<double>(epoch), state(number, step), sha256(bytes),
                         static_cast<std::int64_t>(bytes.size())});
  }
  return all;
}

void declare_with(Store& store, const std::string& name, Retention retention,
                  std::int64_t count = 4) {
  ExperimentRow row = experiment(name, std::to_string(static_cast<int>(retention)));
  row.retention = retention;
  declare(store, row, members(count));
}

/// Four trials with two checkpoints each, all of them kept.
void fill(const fs::path& folder) {
  Store store = Store::open(folder, Access::Write);
  declare_with(store, "momentum", Retention::All);
  const RunId run = begin_run(store);
  for (std::int64_t number = 0; number < 4; ++number) store.keep(run, saving(store, number));
  store.end_run(run, "done");
}

std::vector<Finding> findings(const fs::path& folder, Access access = Access::Read) {
  Store store = Store::open(folder, access);
  return Upkeep(store).inspect().findings;
}

std::vector<Garbage> garbage(const fs::path& folder) {
  Store store = Store::open(folder, Access::Read);
  return Upkeep(store).garbage();
}

std::vector<Garbage> clear(const fs::path& folder) {
  Store store = Store::open(folder, Access::Remove);
  Upkeep upkeep(store);
  auto all = upkeep.garbage();
  upkeep.remove(all);
  return all;
}

/// Everything below the folder with its bytes, but for what SQLite keeps beside the database.
std::map<fs::path, std::string> files_in(const fs::path& folder) {
  std::map<fs::path, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == "results.db-wal" || name == "results.db-shm" || name == "lock") continue;
    files[entry.path().lexically_relative(folder)] =
        entry.is_regular_file() ? read_file(entry.path(), 10 << 20) : "a folder";
  }
  return files;
}

std::set<Digest> blobs_in(const fs::path& folder) {
  const auto all = Blobs(folder).list().blobs;
  return {all.begin(), all.end()};
}

std::set<Digest> rows_in(const fs::path& folder) {
  const Store store = Store::open(folder, Access::Read);
  std::set<Digest> all;
  for (const auto& row : store.query("select blob from checkpoints").rows)
    all.insert(*Digest::from_hex(std::get<std::string>(row[0])));
  return all;
}

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("nothing is wrong with a store that was only used") {
  const TemporaryFolder folder;
  fill(folder.path());
  const auto before = files_in(folder.path());

  Store store = Store::open(folder.path(), Access::Read);
  std::uintmax_t last = 0;
  const Inspection inspection = Upkeep(store).inspect([&](std::uintmax_t done, std::uintmax_t all) {
    CHECK(done >= last);
    CHECK(done <= all);
    last = done;
  });
  CHECK(inspection.findings.empty());
  CHECK(inspection.checkpoints == 8);
  CHECK(inspection.bytes == 8 * checkpoint_bytes(0, 100).size());
  CHECK(last == inspection.bytes);
  CHECK(garbage(folder.path()).empty());
  CHECK(files_in(folder.path()) == before);
}

TEST_CASE("a store without checkpoints, or without a folder, has nothing to find") {
  Store store = Store::in_memory();
  declare(store, experiment(), members());
  store.keep(begin_run(store), record(0));
  CHECK(Upkeep(store).inspect().findings.empty());
  CHECK(Upkeep(store).garbage().empty());

  const TemporaryFolder folder;
  {
    Store::open(folder.path(), Access::Write);
  }
  CHECK(findings(folder.path()).empty());
  CHECK(garbage(folder.path()).empty());
}

TEST_CASE("whatever happens to a blob is found, and repairing makes the store clean") {
  const TemporaryFolder folder;
  fill(folder.path());
  const Blobs blobs(folder.path());
  const Digest bad = blob(2, 100);
  const std::string bytes = checkpoint_bytes(2, 100);
  Kind expected = Kind::Missing;
  SUBCASE("it is gone") { blobs.remove(bad); }
  SUBCASE("a byte has flipped") {
    std::string flipped = bytes;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    write(blobs.path(bad), flipped);
    expected = Kind::Bytes;
  }
  SUBCASE("it is cut short") {
    write(blobs.path(bad), bytes.substr(0, bytes.size() - 1));
    expected = Kind::Size;
  }
  SUBCASE("it is empty, as after a power cut") {
    write(blobs.path(bad), "");
    expected = Kind::Size;
  }
  SUBCASE("it is a link") {
    blobs.remove(bad);
    fs::create_symlink(blobs.path(blob(2, 200)), blobs.path(bad));
  }

  const auto found = findings(folder.path());
  REQUIRE(found.size() >= 1);
  CHECK(found[0].kind == expected);
  CHECK(found[0].subject == "checkpoint of momentum 2 at step 100");
  CHECK(found[0].message.find(bad.hex()) != std::string::npos);
  CHECK(found[0].repairable);
  CHECK(found[0].damage());
  // Nothing else is damaged: what lies in the blob's place may be unused.
  CHECK(std::ranges::count_if(found, &Finding::damage) == 1);

  const std::string results =
      ask(Store::open(folder.path(), Access::Read), "select * from results");
  {
    Store store = Store::open(folder.path(), Access::Remove);
    Upkeep upkeep(store);
    const auto repaired = upkeep.repair(upkeep.inspect().findings);
    REQUIRE(repaired.size() == 1);
    CHECK(repaired[0].state == state(2, 100));
    CHECK_FALSE(store.states({state(2, 100)}, {}).at(state(2, 100)).checkpoint);
    CHECK(store.states({state(2, 200)}, {}).at(state(2, 200)).checkpoint);
  }
  CHECK(findings(folder.path()).empty());
  CHECK_FALSE(fs::exists(fs::symlink_status(blobs.path(bad))));
  CHECK(rows_in(folder.path()).size() == 7);
  CHECK(ask(Store::open(folder.path(), Access::Read), "select * from results") == results);
}

TEST_CASE("a blob that is no safetensors is found although it is the one that was written") {
  const TemporaryFolder folder;
  {
    Store store = Store::open(folder.path(), Access::Write);
    declare_with(store, "momentum", Retention::All);
    Record wrong = record(0);
    const Digest blob = store.blobs().put("no checkpoint");
    wrong.saved.push_back({200, 2, state(0, 200), blob, 13});
    store.keep(begin_run(store), wrong);
  }
  const auto found = findings(folder.path());
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == Kind::Format);
}

TEST_CASE("states that share a bad blob are all found and all repaired") {
  const TemporaryFolder folder;
  {
    Store store = Store::open(folder.path(), Access::Write);
    declare_with(store, "momentum", Retention::All);
    const RunId run = begin_run(store);
    for (std::int64_t number = 0; number < 2; ++number) {
      Record same = record(number);
      const std::string bytes = checkpoint_bytes(0, 200);
      same.saved.push_back({200, 2, state(number, 200), store.blobs().put(bytes),
                            static_cast<std::int64_t>(bytes.size())});
      store.keep(run, same);
    }
  }
  const Blobs blobs(folder.path());
  write(blobs.path(blob(0, 200)), std::string(checkpoint_bytes(0, 200).size(), 'x'));
  Store store = Store::open(folder.path(), Access::Remove);
  Upkeep upkeep(store);
  CHECK(upkeep.repair(upkeep.inspect().findings).size() == 2);
  CHECK(upkeep.inspect().findings.empty());
  CHECK(blobs.list().blobs.empty());
}

TEST_CASE("what nobody refers to is no damage, and what is not ours stays") {
  const TemporaryFolder folder;
  fill(folder.path());
  const Blobs blobs(folder.path());
  const Digest unused = blobs.put("unused");
  const auto in_store = [&](const std::string& name) { return folder.path() / name; };
  const std::string cut = blobs.path(blob(0, 100)).string() + ".tmp-77-0";
  write(cut, "half a che");
  write(in_store("results.db.new"), "half a dat");
  write(in_store("results-v1.db.tmp"), "half a copy");
  write(in_store("work-123/stages/0-0.json"), "{}");
  write(in_store("work-123/records/0-0.0.json"), "{}");
  // A store's folder may be shared with other things.
  write(in_store("work-notes/chapter 1.txt"), "mine");
  write(in_store("results-v1.db"), "a copy that was made before a migration");
  write(in_store("blobs/notes.txt"), "mine");
  write(in_store("blobs/ab/notes.tmp-1"), "mine");

  std::set<std::string> named;
  for (const Finding& finding : findings(folder.path())) {
    CHECK(finding.kind == Kind::Unused);
    CHECK_FALSE(finding.damage());
    CHECK_FALSE(finding.repairable);
    named.insert(finding.subject);
  }
  CHECK(named.size() == 7);
  CHECK(named.contains("blobs/notes.txt"));
  CHECK(named.contains("work-123"));

  const auto before = files_in(folder.path());
  const auto listed = garbage(folder.path());
  CHECK(files_in(folder.path()) == before);
  std::map<fs::path, std::uintmax_t> sizes;
  for (const Garbage& one : listed) sizes[one.path] = one.bytes;
  const std::map<fs::path, std::uintmax_t> expected = {{blobs.path(unused), 6},
                                                       {cut, 10},
                                                       {in_store("results.db.new"), 10},
                                                       {in_store("results-v1.db.tmp"), 11},
                                                       {in_store("work-123"), 4}};
  CHECK(sizes == expected);

  clear(folder.path());
  auto after = before;
  for (const Garbage& one : listed) after.erase(one.path.lexically_relative(folder.path()));
  std::erase_if(after,
                [](const auto& entry) { return entry.first.string().starts_with("work-123"); });
  const auto left = files_in(folder.path());
  for (const auto& [path, bytes] : left) CHECK_MESSAGE(after.contains(path), path.string());
  for (const auto& [path, bytes] : after) CHECK_MESSAGE(left.contains(path), path.string());
  CHECK(garbage(folder.path()).empty());
}

TEST_CASE("a repair writes nothing into a database that is damaged") {
  const TemporaryFolder folder;
  fill(folder.path());
  Blobs(folder.path()).remove(blob(2, 100));
  // A row that refers to nothing, as a flipped bit leaves it.
  Database(database_in(folder.path()), Database::Mode::Write)
      .execute("PRAGMA foreign_keys = OFF; UPDATE trial_states SET trial = 999 WHERE trial = 1");
  Store store = Store::open(folder.path(), Access::Remove);
  Upkeep upkeep(store);
  const auto found = upkeep.inspect().findings;
  REQUIRE(found.size() == 2);
  CHECK(found[0].kind == Kind::Database);
  CHECK(found[0].message.find("trial_states") != std::string::npos);
  CHECK_FALSE(found[0].repairable);
  CHECK(found[0].advice.find("VACUUM INTO") != std::string::npos);
  CHECK(upkeep.repair(found).empty());
  CHECK(upkeep.inspect().findings.size() == 2);
}

TEST_CASE("pages that contradict each other, and views that cannot be read, are found") {
  const TemporaryFolder folder;
  fill(folder.path());
  const auto damage = [&](const std::string& sql) {
    const Database database(database_in(folder.path()), Database::Mode::Write);
    database.execute(sql);
    database.checkpoint();
  };
  SUBCASE("an index without its rows") {
    // The b-tree of an index stands where another one's was: what an overwritten page looks like.
    std::string bytes = read_file(database_in(folder.path()), 10 << 20);
    const Database database(database_in(folder.path()), Database::Mode::Read);
    const auto page = static_cast<std::size_t>(
        database.integer("SELECT rootpage FROM sqlite_schema WHERE name = 'checkpoint_steps'"));
    const auto other = static_cast<std::size_t>(
        database.integer("SELECT rootpage FROM sqlite_schema WHERE name = 'trial_checkpoints'"));
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>((other - 1) * 4096), 4096,
                bytes.begin() + static_cast<std::ptrdiff_t>((page - 1) * 4096));
    write(database_in(folder.path()), bytes);
  }
  SUBCASE("a view is gone") { damage("DROP VIEW contrasts"); }
  SUBCASE("a table is gone") { damage("PRAGMA foreign_keys = OFF; DROP TABLE checkpoints"); }
  const auto found = findings(folder.path());
  REQUIRE_FALSE(found.empty());
  for (const Finding& finding : found) {
    if (finding.kind == Kind::Unused) continue;
    CHECK(finding.kind == Kind::Database);
    CHECK(finding.message.find('\n') == std::string::npos);
  }
  CHECK(found[0].kind == Kind::Database);
}

TEST_CASE("gc removes what no experiment keeps, and never what one does") {
  const TemporaryFolder folder;
  fill(folder.path());
  std::set<Digest> all;
  std::set<Digest> newest;
  for (std::int64_t number = 0; number < 4; ++number) {
    for (const std::int64_t step : {100, 200}) all.insert(blob(number, step));
    newest.insert(blob(number, 200));
  }
  REQUIRE(blobs_in(folder.path()) == all);

  std::set<Digest> kept;
  const auto redeclare = [&](std::initializer_list<std::pair<const char*, Retention>> retentions) {
    Store store = Store::open(folder.path(), Access::Write);
    for (const auto& [name, retention] : retentions) declare_with(store, name, retention);
  };
  SUBCASE("all") {
    redeclare({{"momentum", Retention::All}});
    kept = all;
  }
  SUBCASE("the newest") {
    redeclare({{"momentum", Retention::Last}});
    kept = newest;
  }
  SUBCASE("none, for all of them are done") { redeclare({{"momentum", Retention::None}}); }
  SUBCASE("the experiment that keeps more decides") {
    redeclare({{"momentum", Retention::None}, {"other", Retention::Last}});
    kept = newest;
  }
  SUBCASE("in any order") {
    redeclare({{"momentum", Retention::Last}, {"a", Retention::None}, {"z", Retention::All}});
    kept = all;
  }

  const auto before = files_in(folder.path());
  const auto listed = garbage(folder.path());
  CHECK(files_in(folder.path()) == before);
  CHECK(listed.size() == all.size() - kept.size());
  std::set<Digest> going = all;
  for (const Garbage& one : listed) {
    CHECK(one.kind == Garbage::Kind::Checkpoint);
    CHECK(one.bytes == checkpoint_bytes(0, 100).size());
    CHECK(one.subject.starts_with("checkpoint of "));
    CHECK(going.erase(*Digest::from_hex(one.path.filename().string())) == 1);
  }
  CHECK(going == kept);

  const std::string results =
      ask(Store::open(folder.path(), Access::Read), "select * from results");
  clear(folder.path());
  CHECK(blobs_in(folder.path()) == kept);
  CHECK(rows_in(folder.path()) == kept);
  CHECK(findings(folder.path()).empty());
  CHECK(ask(Store::open(folder.path(), Access::Read), "select * from results") == results);
}

TEST_CASE("of a trial that is not done, the newest checkpoint stays whatever is kept") {
  const TemporaryFolder folder;
  {
    Store store = Store::open(folder.path(), Access::Write);
    declare_with(store, "momentum", Retention::All);
    Record stopped = saving(store, 1);
    stopped.outcome = Outcome::Interrupted;
    store.keep(begin_run(store), stopped);
    declare_with(store, "momentum", Retention::None);
  }
  clear(folder.path());
  CHECK(blobs_in(folder.path()) == std::set<Digest>{blob(1, 200)});
}

TEST_CASE("a blob stays while any checkpoint that is wanted shares it, and counts once") {
  const TemporaryFolder folder;
  const std::string bytes = checkpoint_bytes(0, 100);
  const auto keep = [&](Store& store, RunId run, std::int64_t number, std::int64_t step) {
    Record one = record(number);
    one.saved.push_back({step, static_cast<double>(step) / 100, state(number, step),
                         store.blobs().put(bytes), static_cast<std::int64_t>(bytes.size())});
    store.keep(run, one);
  };
  {
    Store store = Store::open(folder.path(), Access::Write);
    declare_with(store, "momentum", Retention::All);
    const RunId run = begin_run(store);
    keep(store, run, 0, 100);
    keep(store, run, 0, 200);
    keep(store, run, 1, 100);
    declare_with(store, "momentum", Retention::Last);
  }
  auto listed = garbage(folder.path());
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].bytes == 0);
  clear(folder.path());
  CHECK(blobs_in(folder.path()).size() == 1);
  CHECK(findings(folder.path()).empty());
  {
    Store store = Store::open(folder.path(), Access::Write);
    declare_with(store, "momentum", Retention::None);
  }
  listed = garbage(folder.path());
  REQUIRE(listed.size() == 2);
  CHECK(listed[0].bytes + listed[1].bytes == bytes.size());
  clear(folder.path());
  CHECK(blobs_in(folder.path()).empty());
}

TEST_CASE("many checkpoints go in batches") {
  const TemporaryFolder folder;
  constexpr std::int64_t kTrials = 150;
  {
    Store store = Store::open(folder.path(), Access::Write);
    declare_with(store, "momentum", Retention::Last, kTrials);
    const RunId run = begin_run(store);
    for (std::int64_t number = 0; number < kTrials; ++number)
      store.keep(run, saving(store, number, 1));
    declare_with(store, "momentum", Retention::None, kTrials);
  }
  CHECK(clear(folder.path()).size() == kTrials);
  CHECK(blobs_in(folder.path()).empty());
  CHECK(rows_in(folder.path()).empty());
}

TEST_CASE("only one may write, and reading goes on beside it") {
  const TemporaryFolder folder;
  fill(folder.path());
  Store writer = Store::open(folder.path(), Access::Write);
  try {
    Store::open(folder.path(), Access::Remove);
    FAIL("two writers");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Locked);
  }
  CHECK(fs::exists(folder.path() / "reserve"));

  // A run's next checkpoints replace those that are being looked at.
  declare_with(writer, "momentum", Retention::Last);
  const RunId run = begin_run(writer);
  Store reader = Store::open(folder.path(), Access::Read);
  bool replaced = false;
  const Inspection inspection = Upkeep(reader).inspect([&](std::uintmax_t, std::uintmax_t) {
    if (std::exchange(replaced, true)) return;
    for (std::int64_t number = 0; number < 4; ++number) writer.keep(run, saving(writer, number, 3));
    writer.flush();
  });
  CHECK(blobs_in(folder.path()).size() == 4);
  CHECK(inspection.checkpoints == 8);
  CHECK(std::ranges::none_of(inspection.findings, &Finding::damage));
}

TEST_CASE("a reserve of the disk is kept, given up to remove, and made again") {
  const TemporaryFolder folder;
  const fs::path reserve = folder.path() / "reserve";
  fill(folder.path());
  REQUIRE(fs::file_size(reserve) == 1 << 20);
  {
    Store store = Store::open(folder.path(), Access::Remove);
    CHECK_FALSE(fs::exists(reserve));
    Upkeep(store).remove({});
    CHECK(fs::file_size(reserve) == 1 << 20);
  }
  // Emptied by a power cut.
  write(reserve, "");
  {
    Store::open(folder.path(), Access::Write);
  }
  CHECK(fs::file_size(reserve) == 1 << 20);
  // Somebody else's.
  write(reserve, "table for two");
  for (const Access access : {Access::Write, Access::Remove}) Store::open(folder.path(), access);
  CHECK(read_file(reserve, 100) == "table for two");
}
