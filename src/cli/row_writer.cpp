#include "cli/row_writer.h"

#include <nlohmann/json.hpp>

#include "cli/cells.h"

namespace perturb {

namespace {

class CsvWriter final : public RowWriter {
 public:
  CsvWriter(CsvReader reader, Output& out) : reader_(reader), out_(out) {}
  void columns(const std::vector<std::string>& names) override {
    out_.write(csv_line(names, reader_));
  }
  void row(const std::vector<Cell>& cells) override {
    texts_.clear();
    for (const Cell& cell : cells) texts_.push_back(text_of(cell));
    out_.write(csv_line(texts_, reader_));
  }

 private:
  CsvReader reader_;
  Output& out_;
  std::vector<std::string> texts_;
};

class JsonLinesWriter final : public RowWriter {
 public:
  explicit JsonLinesWriter(Output& out) : out_(out) {}
  void columns(const std::vector<std::string>& names) override { names_ = names; }
  void row(const std::vector<Cell>& cells) override {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < cells.size(); ++i) object[names_[i]] = json_of(cells[i]);
    out_.line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }

 private:
  Output& out_;
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<RowWriter> writer_of(const std::string& format, CsvReader reader, Output& out) {
  if (format == "jsonl") return std::make_unique<JsonLinesWriter>(out);
  return std::make_unique<CsvWriter>(reader, out);
}

}  // namespace perturb
