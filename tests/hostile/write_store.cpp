// Writes a store in which whatever is text is hostile: usage: write_store FOLDER CORPUS.
//
// For the i-th entry of the corpus (a list of {name, text, hex}; hex: bytes that are no UTF-8) it
// declares an experiment of that name and description with a control and an intervention of that
// label, a factor `note` and a metric of that name, and keeps a trial that was done and one that
// failed with that message. An experiment file could not say most of this, a store can.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "perturb/core/digest.h"
#include "perturb/store/store.h"

namespace perturb {
namespace {

std::string text_of(const nlohmann::json& entry) {
  if (!entry.contains("hex")) return entry.at("text");
  const std::string hex = entry.at("hex");
  std::string text;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return text;
}

Member member(std::size_t entry, std::int64_t number, const std::string& text) {
  return {.number = number,
          .control = 0,
          .intervention = number == 0 ? "control" : text,
          .trial = sha256(std::to_string(entry) + " " + std::to_string(number)),
          .condition = nlohmann::json({{"note", text}})
                           .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .operations = "[]",
          .steps = 10,
          .factors = {{"note", Value(text)}, {"optimizer.lr", Value(0.1)}},
          .comparisons = {}};
}

Record record(std::size_t entry, std::int64_t number, const Digest& metric,
              const std::string& text) {
  Record record;
  record.trial = sha256(std::to_string(entry) + " " + std::to_string(number));
  record.outcome = number == 0 ? Outcome::Done : Outcome::Failed;
  record.step = 10;
  if (number > 0) record.message = text;
  const Digest state = sha256("state " + std::to_string(entry) + " " + std::to_string(number));
  record.measured = {{10, 1.0, state, metric, 0.5}};
  return record;
}

void write(const char* folder, const char* corpus) {
  std::ifstream in(corpus);
  const nlohmann::json entries = nlohmann::json::parse(in);
  Store store = Store::open(folder, Store::Access::Write);
  for (std::size_t entry = 0; entry < entries.size(); ++entry) {
    const std::string text = text_of(entries[entry]);
    const Digest metric = sha256("metric " + std::to_string(entry));
    ExperimentRow row;
    row.name = text;
    row.description = text;
    row.source = text;
    row.digest = sha256("experiment " + std::to_string(entry));
    row.members = 2;
    row.metrics = {{metric, text, "{}"}};
    std::int64_t next = 0;
    store.declare(row, [&]() -> std::optional<Member> {
      if (next == 2) return std::nullopt;
      return member(entry, next++, text);
    });
    const RunId run = store.begin_run(
        {.experiment = text, .command = text, .version = text, .fingerprint = text});
    for (const std::int64_t number : {0, 1}) store.keep(run, record(entry, number, metric, text));
    store.end_run(run, "failed");
  }
}

}  // namespace
}  // namespace perturb

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: write_store FOLDER CORPUS\n", stderr);
    return 2;
  }
  try {
    perturb::write(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
