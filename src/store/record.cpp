#include "perturb/store/record.h"

#include <array>
#include <bit>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perturb/core/error.h"

namespace perturb {

namespace {

constexpr std::array<std::pair<Outcome, std::string_view>, 7> kNames = {{
    {Outcome::Done, "done"},
    {Outcome::Diverged, "diverged"},
    {Outcome::Failed, "failed"},
    {Outcome::Crashed, "crashed"},
    {Outcome::OutOfMemory, "out of memory"},
    {Outcome::TimedOut, "timed out"},
    {Outcome::Interrupted, "interrupted"},
}};

}  // namespace

std::string_view name_of(Outcome outcome) {
  for (const auto& [known, name] : kNames) {
    if (known == outcome) return name;
  }
  return "failed";
}

Outcome outcome_from(std::string_view name) {
  for (const auto& [outcome, known] : kNames) {
    if (known == name) return outcome;
  }
  // A name that this program does not write comes from a damaged or foreign file.
  throw Error(ExitCode::Store, fmt::format("\"{}\" is not an outcome of a trial", name),
              "restore the store from a copy, or move its folder away");
}

namespace {

using Json = nlohmann::json;

Digest digest_of(const Json& json) {
  const auto digest = Digest::from_hex(json.get<std::string>());
  if (!digest) throw Error(ExitCode::Usage, "a record has a digest that is none");
  return *digest;
}

}  // namespace

std::string to_json(const Record& record) {
  Json measured = Json::array();
  for (const Measured& m : record.measured) {
    // The bits, since JSON knows no NaN and no infinities.
    measured.push_back({{"step", m.step},
                        {"epoch", m.epoch},
                        {"state", m.state.hex()},
                        {"metric", m.metric.hex()},
                        {"bits", std::bit_cast<std::uint64_t>(m.value)}});
    if (m.reference) measured.back()["reference"] = m.reference->hex();
  }
  Json saved = Json::array();
  for (const Saved& s : record.saved) {
    saved.push_back({{"step", s.step},
                     {"epoch", s.epoch},
                     {"state", s.state.hex()},
                     {"blob", s.blob.hex()},
                     {"bytes", s.bytes}});
  }
  const Json all = {{"trial", record.trial.hex()},
                    {"outcome", name_of(record.outcome)},
                    {"step", record.step},
                    {"message", record.message},
                    {"seconds", record.seconds},
                    {"trained", record.trained},
                    {"measured", std::move(measured)},
                    {"saved", std::move(saved)},
                    {"start_lost", record.start_lost}};
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Record record_from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    Record record;
    record.trial = digest_of(json.at("trial"));
    record.outcome = outcome_from(json.at("outcome").get<std::string>());
    record.step = json.at("step");
    record.message = json.at("message");
    record.seconds = json.at("seconds");
    record.trained = json.at("trained");
    for (const Json& m : json.at("measured")) {
      record.measured.push_back({m.at("step"), m.at("epoch"), digest_of(m.at("state")),
                                 digest_of(m.at("metric")),
                                 std::bit_cast<double>(m.at("bits").get<std::uint64_t>())});
      if (m.contains("reference")) record.measured.back().reference = digest_of(m.at("reference"));
    }
    for (const Json& s : json.at("saved")) {
      record.saved.push_back({s.at("step"), s.at("epoch"), digest_of(s.at("state")),
                              digest_of(s.at("blob")), s.at("bytes")});
    }
    record.start_lost = json.at("start_lost");
    return record;
  } catch (const Json::exception& error) {
    throw Error(ExitCode::Usage, fmt::format("not a record: {}", error.what()));
  }
}

}  // namespace perturb
