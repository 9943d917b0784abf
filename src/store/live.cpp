#include "perturb/store/live.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "store/folder.h"
#include "store/host.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::int64_t kVersion = 1;
/// Names of control characters alone, six bytes each in JSON, stay below it.
constexpr std::size_t kLargest = 256 << 10;

fs::path live_in(const fs::path& folder) { return folder / std::string(kLiveFile); }

/// At most that many bytes, and no part of a character.
std::string cut(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

Json json_of(const Live& live) {
  Json running = Json::array();
  for (const LiveStage& stage : live.running) {
    if (running.size() == kMostLiveStages) break;
    const auto from = stage.loss.end() -
                      static_cast<std::ptrdiff_t>(std::min(stage.loss.size(), kMostLiveLosses));
    running.push_back({{"number", stage.number},
                       {"name", cut(stage.name, kLongestLiveName)},
                       {"trials", stage.trials},
                       {"begin", stage.begin},
                       {"step", stage.step},
                       {"end", stage.end},
                       {"rate", stage.rate},
                       // What is not finite becomes null.
                       {"loss", std::vector<double>(from, stage.loss.end())}});
  }
  Json ended = Json::array();
  const std::size_t first = live.ended.size() - std::min(live.ended.size(), kMostLiveEnded);
  for (std::size_t i = first; i < live.ended.size(); ++i) {
    const LiveEnded& one = live.ended[i];
    ended.push_back({{"number", one.number},
                     {"name", cut(one.name, kLongestLiveName)},
                     {"outcome", name_of(one.outcome)},
                     {"step", one.step}});
  }
  return {{"version", kVersion},   {"run", live.run},   {"beat", live.beat},
          {"trials", live.trials}, {"over", live.over}, {"failed", live.failed},
          {"share", live.share},   {"left", live.left}, {"stages", live.stages},
          {"running", running},    {"ended", ended}};
}

// Whatever is not as written is thrown as an exception, which `read_live` turns into nothing.

std::int64_t count_in(const Json& json, const char* key) {
  const Json& value = json.at(key);
  if (!value.is_number_unsigned()) throw std::invalid_argument(key);
  const auto count = value.get<std::uint64_t>();
  // Beyond that it would become negative.
  if (count > std::numeric_limits<std::int64_t>::max()) throw std::out_of_range(key);
  return static_cast<std::int64_t>(count);
}

double number_in(const Json& value) {
  if (value.is_null()) return std::nan("");
  if (!value.is_number()) throw std::invalid_argument("no number");
  return value.get<double>();
}

double finite_in(const Json& json, const char* key) {
  const double value = number_in(json.at(key));
  if (!std::isfinite(value)) throw std::out_of_range(key);
  return value;
}

std::string name_in(const Json& json) {
  auto name = json.at("name").get<std::string>();
  if (name.size() > kLongestLiveName) throw std::length_error("name");
  return name;
}

const Json& list_in(const Json& json, const char* key, std::size_t most) {
  const Json& list = json.at(key);
  if (!list.is_array() || list.size() > most) throw std::length_error(key);
  return list;
}

LiveStage stage_from(const Json& json) {
  LiveStage stage = {.number = count_in(json, "number"),
                     .name = name_in(json),
                     .trials = count_in(json, "trials"),
                     .begin = count_in(json, "begin"),
                     .step = count_in(json, "step"),
                     .end = count_in(json, "end"),
                     .rate = std::max(0.0, finite_in(json, "rate")),
                     .loss = {}};
  if (stage.begin > stage.step || stage.step > stage.end) throw std::out_of_range("step");
  for (const Json& loss : list_in(json, "loss", kMostLiveLosses))
    stage.loss.push_back(number_in(loss));
  return stage;
}

Live live_from(const Json& json) {
  if (count_in(json, "version") != kVersion) throw std::invalid_argument("version");
  Live live = {.run = count_in(json, "run"),
               .beat = count_in(json, "beat"),
               .trials = count_in(json, "trials"),
               .over = count_in(json, "over"),
               .failed = count_in(json, "failed"),
               .share = std::clamp(finite_in(json, "share"), 0.0, 1.0),
               .left = finite_in(json, "left"),
               .stages = count_in(json, "stages"),
               .running = {},
               .ended = {}};
  if (live.over > live.trials || live.failed > live.over) throw std::out_of_range("over");
  for (const Json& stage : list_in(json, "running", kMostLiveStages))
    live.running.push_back(stage_from(stage));
  for (const Json& one : list_in(json, "ended", kMostLiveEnded)) {
    live.ended.push_back({.number = count_in(one, "number"),
                          .name = name_in(one),
                          .outcome = outcome_from(one.at("outcome").get<std::string>()),
                          .step = count_in(one, "step")});
  }
  return live;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// Empty where it is not a regular file, or too large.
std::string read_small(const fs::path& path) {
  // Neither through a link nor waiting at a pipe.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return {};
  std::string bytes;
  struct stat status{};
  if (::fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
    bytes.resize(kLargest + 1);
    std::size_t size = 0;
    for (ssize_t n = 1; n > 0 && size < bytes.size(); size += static_cast<std::size_t>(n)) {
      n = std::max<ssize_t>(0, ::read(file, bytes.data() + size, bytes.size() - size));
    }
    bytes.resize(size > kLargest ? 0 : size);
  }
  ::close(file);
  return bytes;
}

}  // namespace

bool write_live(const fs::path& folder, const Live& live) noexcept try {
  const std::string bytes = json_of(live).dump(-1, ' ', false, Json::error_handler_t::replace);
  // Not write_unsynced: that syncs what replaces a file, and nobody has to wait for this one.
  const fs::path temporary = live_in(folder).string() + fmt::format(".tmp-{}", ::getpid());
  const int file = ::open(temporary.c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (file < 0) return false;
  const bool written = write_all(file, bytes);
  const bool closed = ::close(file) == 0;
  if (written && closed && ::rename(temporary.c_str(), live_in(folder).c_str()) == 0) return true;
  ::unlink(temporary.c_str());
  return false;
} catch (const std::exception&) {
  return false;  // no memory
}

void remove_live(const fs::path& folder) noexcept try {
  std::error_code ignored;
  if (fs::symlink_status(live_in(folder), ignored).type() == fs::file_type::regular)
    fs::remove(live_in(folder), ignored);
} catch (const std::exception&) {
  // It stays: the next run replaces it, and until then its run is known to be over.
}

std::optional<Live> read_live(const fs::path& folder) noexcept try {
  const std::string bytes = read_small(live_in(folder));
  if (bytes.empty()) return std::nullopt;
  return live_from(Json::parse(bytes));
} catch (const std::exception&) {
  return std::nullopt;
}

Sign sign_of(std::string_view host, std::int64_t process) {
  if (host != host_name()) return Sign::Elsewhere;
  // Not a group of processes, nor all of them.
  if (process <= 0 || process > std::numeric_limits<pid_t>::max()) return Sign::Gone;
  return ::kill(static_cast<pid_t>(process), 0) == 0 || errno == EPERM ? Sign::Alive : Sign::Gone;
}

}  // namespace perturb
