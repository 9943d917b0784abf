#include "core/pickle.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/error.h"

namespace perturb {
namespace {

using Kind = Pickle::Value::Kind;

/// Bounds everything that a pickle can make: values, marks, what it keeps. A tensor takes some 60.
constexpr std::size_t kMostSteps = 2'000'000;
constexpr std::string_view kOrderedDict = "collections OrderedDict";

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ExitCode::Usage, "not a pickle of tensors: " + what,
              "in Python: torch.save(model.state_dict(), \"weights.pt\")");
}

std::string shown(std::string_view name) {
  constexpr std::size_t kLongest = 80;
  return std::string(name.substr(0, kLongest)) + (name.size() > kLongest ? "..." : "");
}

}  // namespace

/// Carries the pickle's opcodes out, as far as they make values.
class Pickle::Machine {
 public:
  Machine(std::string_view bytes, std::span<const std::string_view> known, Pickle& out)
      : bytes_(bytes), known_(known), values_(out.values_) {}

  Place run() {
    for (std::size_t step = 0; step < kMostSteps; ++step) {
      const auto code = static_cast<unsigned char>(take(1)[0]);
      if (code == '.') return pop();
      if (!framing(code) && !scalar(code) && !collection(code) && !memory(code) && !object(code))
        refuse(fmt::format("opcode 0x{:02x} at byte {} of it", code, at_ - 1));
    }
    refuse("it takes more than two million steps");
  }

 private:
  // Bytes.

  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_) refuse("it ends in the middle");
    const auto taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  /// Little-endian, without a sign.
  std::uint64_t number(std::size_t size) {
    const auto taken = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
    return value;
  }
  /// Little-endian, two's complement.
  std::int64_t integer(std::size_t size) {
    if (size == 0) return 0;
    if (size > 8) refuse("an integer of more than 64 bits");
    const auto shift = 8 * (8 - size);
    return static_cast<std::int64_t>(number(size) << shift) >> shift;
  }
  std::string_view line() {
    const auto end = bytes_.find('\n', at_);
    if (end == bytes_.npos) refuse("it ends in the middle");
    const auto text = take(end - at_);
    take(1);
    return text;
  }

  // The stack.

  void push(Value value) {
    stack_.push_back(static_cast<Place>(values_.size()));
    values_.push_back(std::move(value));
  }
  Place pop() {
    if (stack_.size() <= floor()) refuse("it takes from an empty stack");
    const auto place = stack_.back();
    stack_.pop_back();
    return place;
  }
  Place top() const {
    if (stack_.size() <= floor()) refuse("it looks at an empty stack");
    return stack_.back();
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<Place> pop_to_mark() {
    if (marks_.empty()) refuse("a mark is missing");
    const auto mark = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Place> all(mark, stack_.end());
    stack_.erase(mark, stack_.end());
    marks_.pop_back();
    return all;
  }
  std::vector<Place> pop(std::size_t count) {
    std::vector<Place> all(count);
    for (std::size_t i = count; i-- > 0;) all[i] = pop();
    return all;
  }

  /// Puts items at the end of the list or dictionary on top.
  void append(Kind kind, const std::vector<Place>& items) {
    auto& target = values_[top()];
    if (target.kind != kind) refuse("items for what has none");
    if (kind == Kind::Dict && items.size() % 2 != 0) refuse("a key without a value");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  // Opcodes, by what they do; false for those of another group.

  bool framing(unsigned char code) {
    switch (code) {
      case 0x80:  // PROTO
        if (const auto protocol = number(1); protocol < 2 || protocol > 5)
          refuse(fmt::format("protocol {}", protocol));
        return true;
      case 0x95:  // FRAME
        take(8);
        return true;
      case '(':  // MARK
        marks_.push_back(stack_.size());
        return true;
      case '0':  // POP
        pop();
        return true;
      case '1':  // POP_MARK
        pop_to_mark();
        return true;
      default:
        return false;
    }
  }

  bool scalar(unsigned char code) {
    switch (code) {
      case 'N':
        push({});
        return true;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push({.kind = Kind::Bool, .number = code == 0x88});
        return true;
      case 'J':  // BININT
        push({.kind = Kind::Int, .number = integer(4)});
        return true;
      case 'K':  // BININT1
      case 'M':  // BININT2
        push({.kind = Kind::Int, .number = static_cast<std::int64_t>(number(code == 'K' ? 1 : 2))});
        return true;
      case 0x8a:  // LONG1
        push({.kind = Kind::Int, .number = integer(number(1))});
        return true;
      case 'G':  // BINFLOAT: nobody asks for its value
        take(8);
        push({.kind = Kind::Float});
        return true;
      case 0x8c:  // SHORT_BINUNICODE
      case 'U':   // SHORT_BINSTRING
        push({.kind = Kind::Text, .text = take(number(1))});
        return true;
      case 'X':  // BINUNICODE
      case 'T':  // BINSTRING
        push({.kind = Kind::Text, .text = take(number(4))});
        return true;
      case 0x8d:  // BINUNICODE8
        push({.kind = Kind::Text, .text = take(number(8))});
        return true;
      default:
        return false;
    }
  }

  bool collection(unsigned char code) {
    switch (code) {
      case ')':
        push({.kind = Kind::Tuple});
        return true;
      case 't':
        push({.kind = Kind::Tuple, .items = pop_to_mark()});
        return true;
      case 0x85:  // TUPLE1
      case 0x86:
      case 0x87:
        push({.kind = Kind::Tuple, .items = pop(code - 0x84U)});
        return true;
      case ']':
        push({.kind = Kind::List});
        return true;
      case 'a':  // APPEND
        append(Kind::List, pop(1));
        return true;
      case 'e':  // APPENDS
        append(Kind::List, pop_to_mark());
        return true;
      case '}':
        push({.kind = Kind::Dict});
        return true;
      case 's':  // SETITEM
        append(Kind::Dict, pop(2));
        return true;
      case 'u':  // SETITEMS
        append(Kind::Dict, pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  bool memory(unsigned char code) {
    switch (code) {
      case 'q':  // BINPUT
      case 'r':  // LONG_BINPUT
        remember(number(code == 'q' ? 1 : 4));
        return true;
      case 0x94:  // MEMOIZE
        remember(memo_.size());
        return true;
      case 'h':  // BINGET
      case 'j':  // LONG_BINGET
        recall(number(code == 'h' ? 1 : 4));
        return true;
      default:
        return false;
    }
  }
  void remember(std::uint64_t number) { memo_[number] = top(); }
  void recall(std::uint64_t number) {
    const auto found = memo_.find(number);
    if (found == memo_.end()) refuse("a value that it did not keep");
    stack_.push_back(found->second);
  }

  bool object(unsigned char code) {
    switch (code) {
      case 'c': {  // GLOBAL
        const auto module = line();
        global(module, line());
        return true;
      }
      case 0x93: {  // STACK_GLOBAL
        const auto names = pop(2);
        global(values_[names[0]].text, values_[names[1]].text);
        return true;
      }
      case 'Q':  // BINPERSID
        push({.kind = Kind::Persistent, .items = pop(1)});
        return true;
      case 'R':  // REDUCE
        call(pop(2));
        return true;
      case 'b':  // BUILD: attributes, such as the _metadata of a state_dict; nobody asks for them
        pop();
        if (values_[top()].kind != Kind::Dict && values_[top()].kind != Kind::Call)
          refuse("attributes of what has none");
        return true;
      default:
        return false;
    }
  }
  void global(std::string_view module, std::string_view name) {
    const auto asked = fmt::format("{} {}", module, name);
    const auto found = std::find(known_.begin(), known_.end(), asked);
    if (asked == kOrderedDict) {
      push({.kind = Kind::Global, .text = kOrderedDict});
    } else if (found != known_.end()) {
      push({.kind = Kind::Global, .text = *found});
    } else {
      refuse(
          fmt::format("it would use {}.{}, and nothing but tensors and dictionaries of them is "
                      "read",
                      shown(module), shown(name)));
    }
  }
  void call(std::vector<Place> what) {
    const auto& callee = values_[what[0]];
    const auto& arguments = values_[what[1]];
    if (callee.kind != Kind::Global || arguments.kind != Kind::Tuple)
      refuse("it would call what is no function");
    if (callee.text != kOrderedDict) {
      push({.kind = Kind::Call, .items = std::move(what)});
    } else if (arguments.items.empty()) {
      push({.kind = Kind::Dict});
    } else {
      refuse("an OrderedDict that is made of something");
    }
  }

  std::string_view bytes_;
  std::span<const std::string_view> known_;
  std::uint64_t at_ = 0;
  std::vector<Value>& values_;
  std::vector<Place> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<std::uint64_t, Place> memo_;
};

Pickle::Pickle(std::string_view bytes, std::span<const std::string_view> known)
    : root_(Machine(bytes, known, *this).run()) {}

const Pickle::Value* Pickle::find(const Value& dict, std::string_view key) const {
  const Value* found = nullptr;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const auto& own = (*this)[dict.items[i]];
    if (own.kind == Kind::Text && own.text == key) found = &(*this)[dict.items[i + 1]];
  }
  return found;
}

}  // namespace perturb
