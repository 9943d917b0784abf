#include "perturb/store/live.h"

#include <cmath>
#include <limits>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "perturb/core/files.h"
#include "perturb/store/store.h"
#include "perturb/store/upkeep.h"
#include "temporary_folder.h"

using namespace perturb;
namespace fs = std::filesystem;

namespace {

Live live() {
  return {.run = 3,
          .beat = 17,
          .trials = 120,
          .over = 31,
          .failed = 2,
          .share = 0.25,
          .left = 182.5,
          .stages = 2,
          .running = {{.number = 5,
                       .name = "#5 control | seeds.init=1",
                       .trials = 4,
                       .begin = 100,
                       .step = 320,
                       .end = 1200,
                       .rate = 145.5,
                       .loss = {2.5, 1.25, 0.5}},
                      {.number = 6, .name = "", .begin = 0, .step = 0, .end = 10, .loss = {}}},
          .ended = {{.number = 4, .name = "#4", .outcome = Outcome::Diverged, .step = 7}}};
}

nlohmann::json written(const fs::path& folder) {
  return nlohmann::json::parse(read_file(folder / "live.json", 1 << 20));
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("what a run says of itself reads back as it was written") {
  const TemporaryFolder folder;
  CHECK_FALSE(read_live(folder.path()));
  REQUIRE(write_live(folder.path(), live()));
  const auto back = read_live(folder.path());
  REQUIRE(back);
  CHECK(back->run == 3);
  CHECK(back->beat == 17);
  CHECK(back->trials == 120);
  CHECK(back->over == 31);
  CHECK(back->failed == 2);
  CHECK(back->share == 0.25);
  CHECK(back->left == 182.5);
  CHECK(back->stages == 2);
  REQUIRE(back->running.size() == 2);
  CHECK(back->running[0].number == 5);
  CHECK(back->running[0].name == "#5 control | seeds.init=1");
  CHECK(back->running[0].trials == 4);
  CHECK(back->running[0].begin == 100);
  CHECK(back->running[0].step == 320);
  CHECK(back->running[0].end == 1200);
  CHECK(back->running[0].rate == 145.5);
  CHECK(back->running[0].loss == std::vector<double>{2.5, 1.25, 0.5});
  REQUIRE(back->ended.size() == 1);
  CHECK(back->ended[0].outcome == Outcome::Diverged);
  CHECK(back->ended[0].step == 7);

  remove_live(folder.path());
  remove_live(folder.path());
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("a loss that is not finite stays one, and names are cut between characters") {
  const TemporaryFolder folder;
  Live odd = live();
  odd.running[0].loss = {1, std::nan(""), std::numeric_limits<double>::infinity()};
  for (std::size_t i = 0; i < kLongestLiveName; ++i) odd.running[0].name += "漢";
  odd.running[1].name = "\xFF\xC3(";  // not UTF-8
  REQUIRE(write_live(folder.path(), odd));
  const auto back = read_live(folder.path());
  REQUIRE(back);
  CHECK(back->running[0].loss[0] == 1);
  CHECK(std::isnan(back->running[0].loss[1]));
  CHECK(std::isnan(back->running[0].loss[2]));
  CHECK(back->running[0].name.size() <= kLongestLiveName);
  CHECK(odd.running[0].name.starts_with(back->running[0].name));
}

TEST_CASE("however many there are, the file is bounded and readable") {
  const TemporaryFolder folder;
  Live many = live();
  many.running.assign(10'000, many.running[0]);
  for (LiveStage& stage : many.running) {
    stage.name.assign(10'000, '\x01');  // six bytes each in JSON
    stage.loss.assign(10'000, -1.2345678901234567e-300);
  }
  many.ended.assign(10'000, many.ended[0]);
  many.ended.back().step = 99;
  REQUIRE(write_live(folder.path(), many));
  CHECK(fs::file_size(folder.path() / "live.json") < 120'000);
  const auto back = read_live(folder.path());
  REQUIRE(back);
  CHECK(back->running.size() == kMostLiveStages);
  CHECK(back->running[0].loss.size() == kMostLiveLosses);
  CHECK(back->ended.size() == kMostLiveEnded);
  CHECK(back->ended.back().step == 99);
}

TEST_CASE("a torn file is nothing") {
  const TemporaryFolder folder;
  REQUIRE(write_live(folder.path(), live()));
  const std::string whole = read_file(folder.path() / "live.json", 1 << 20);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_unsynced(folder.path() / "live.json", whole.substr(0, size));
    CHECK_FALSE(read_live(folder.path()));
  }
}

TEST_CASE("what is not of the form is nothing, whatever it is instead") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "live.json";
  REQUIRE(write_live(folder.path(), live()));
  const nlohmann::json good = written(folder.path());

  const auto refused = [&](const std::string& bytes) {
    write_unsynced(file, bytes);
    return !read_live(folder.path());
  };
  CHECK_FALSE(refused(good.dump()));
  for (const auto& [key, value] : good.items()) {
    nlohmann::json without = good;
    without.erase(key);
    CHECK_MESSAGE(refused(without.dump()), key);
    for (const nlohmann::json& other :
         {nlohmann::json("text"), nlohmann::json({{"a", 1}}), nlohmann::json(true)}) {
      nlohmann::json wrong = good;
      wrong[key] = other;
      CHECK_MESSAGE(refused(wrong.dump()), key, " ", other.dump());
    }
  }
  for (const char* key : {"run", "beat", "trials", "over", "failed", "stages"}) {
    for (const char* number : {"-1", "0.5", "1e300", "18446744073709551615", "null"}) {
      nlohmann::json wrong = good;
      wrong[key] = nlohmann::json::parse(number);
      CHECK_MESSAGE(refused(wrong.dump()), key, " ", number);
    }
  }
  const auto changed = [&](const char* pointer, const nlohmann::json& value) {
    nlohmann::json wrong = good;
    wrong[nlohmann::json::json_pointer(pointer)] = value;
    return wrong.dump();
  };
  CHECK(refused(changed("/version", 2)));
  CHECK(refused(changed("/over", 121)));
  CHECK(refused(changed("/running/0/step", 99)));    // before its beginning
  CHECK(refused(changed("/running/0/step", 1201)));  // behind its end
  CHECK(refused(changed("/running/0/name", std::string(kLongestLiveName + 1, 'x'))));
  CHECK(refused(changed("/running/0/loss", std::vector<double>(kMostLiveLosses + 1, 1))));
  CHECK(refused(changed("/running", nlohmann::json(kMostLiveStages + 1, good["running"][0]))));
  CHECK(refused(changed("/ended/0/outcome", "excellent")));
  CHECK(refused(std::string(100'000, '[')));
  CHECK(refused(std::string(1 << 20, ' ') + good.dump()));
  CHECK(refused(good.dump() + "x"));
}

TEST_CASE("what is no regular file is left alone, and nobody waits for it") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "live.json";
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  CHECK_FALSE(read_live(folder.path()));
  remove_live(folder.path());
  CHECK(fs::exists(fs::symlink_status(file)));
  fs::remove(file);

  const TemporaryFolder elsewhere;
  REQUIRE(write_live(elsewhere.path(), live()));
  fs::create_symlink(elsewhere.path() / "live.json", file);
  CHECK_FALSE(read_live(folder.path()));
  // A link is replaced, not written through.
  Live next = live();
  next.beat = 18;
  REQUIRE(write_live(folder.path(), next));
  CHECK(read_live(folder.path())->beat == 18);
  CHECK(read_live(elsewhere.path())->beat == 17);
}

TEST_CASE("where it cannot be written nothing is left, and nothing thrown") {
  const TemporaryFolder folder;
  CHECK_FALSE(write_live(folder.path() / "absent", live()));
  fs::create_directories(folder.path() / "live.json" / "in the way");
  CHECK_FALSE(write_live(folder.path(), live()));
  CHECK(files_in(folder.path()) == 1);
  CHECK_FALSE(read_live(folder.path()));
}

TEST_CASE("the next writer removes what a killed run left") {
  const TemporaryFolder folder;
  {
    const Store store = Store::open(folder.path(), Store::Access::Write);
  }
  REQUIRE(write_live(folder.path(), live()));
  write_unsynced(folder.path() / "live.json.tmp-1", "{");
  {
    Store store = Store::open(folder.path(), Store::Access::Read);
    CHECK(read_live(folder.path()));  // who reads, changes nothing
    Upkeep upkeep(store);
    const auto garbage = upkeep.garbage();
    REQUIRE(garbage.size() == 1);
    CHECK(garbage[0].path.filename() == "live.json.tmp-1");
  }
  const Store store = Store::open(folder.path(), Store::Access::Write);
  CHECK_FALSE(fs::exists(folder.path() / "live.json"));
}

TEST_CASE("a process of this host is there or gone; of another nothing is known") {
  std::array<char, 256> host{};
  REQUIRE(::gethostname(host.data(), host.size() - 1) == 0);
  CHECK(sign_of(host.data(), ::getpid()) == Sign::Alive);
  CHECK(sign_of(host.data(), 1) == Sign::Alive);  // also where we may not signal it
  for (const std::int64_t none : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40})
    CHECK(sign_of(host.data(), none) == Sign::Gone);
  CHECK(sign_of(std::string(host.data()) + "x", ::getpid()) == Sign::Elsewhere);
}
