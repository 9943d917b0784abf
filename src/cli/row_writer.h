// Answers of the store as text, row by row.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/output.h"
#include "perturb/report/table.h"
#include "perturb/store/store.h"

namespace perturb {

/// Writes rows one by one, so that results that fit no memory can be exported.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  virtual void columns(const std::vector<std::string>& names) = 0;
  virtual void row(const std::vector<Cell>& cells) = 0;
};

/// "jsonl": a JSON object a line; otherwise CSV for that reader. `out` must outlive it.
std::unique_ptr<RowWriter> writer_of(const std::string& format, CsvReader reader, Output& out);

}  // namespace perturb
