// The one file that includes toml++ (Debian: libtomlplusplus-dev), header-only and without its printers, which halves
// the time to compile it. See include/CTomlShim.h for the promises.

#include "CTomlShim.h"

#include <new>
#include <string>
#include <string_view>
#include <vector>

#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#define TOML_EXCEPTIONS 1
// Brackets in brackets. With the limit on dots below this bounds every recursion: toml++'s parser, its destructors,
// the walk here and the readers above.
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

namespace {

// toml++ bounds brackets but not dotted keys: a key of a million parts makes a tree so deep that freeing it overflows
// the stack.
constexpr int max_dots = 16;

struct Place {
  uint32_t line = 0, column = 0;
};

struct Document {
  toml::table root;
  std::vector<ctoml_node> nodes;
  std::string error;
  Place error_place;
};

// Skips the string that starts at `at` and returns the index after it, or of the newline that a one-line string lacks.
size_t after_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const bool escapes = quote == '"';
  const bool multiline = text.size() - at >= 3 && text[at + 1] == quote && text[at + 2] == quote;
  size_t i = at + (multiline ? 3 : 1);
  for (; i < text.size(); i++) {
    if (escapes && text[i] == '\\') {
      i++;
    } else if (!multiline && text[i] == '\n') {
      return i;
    } else if (text[i] == quote) {
      if (!multiline) return i + 1;
      if (text.size() - i >= 3 && text[i + 1] == quote && text[i + 2] == quote) return i + 3;
    }
  }
  return text.size();
}

// True, with the place, when a dotted key has more parts than any configuration needs.
bool has_endless_key(std::string_view text, Place &place) {
  uint32_t line = 1;
  int dots = 0;
  size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    size_t next = i + 1;
    switch (c) {
      case '#':
        while (next < text.size() && text[next] != '\n') next++;
        dots = 0;
        break;
      case '"':
      case '\'':
        next = after_string(text, i);
        for (size_t k = i; k < next && k < text.size(); k++) line += text[k] == '\n';
        break;
      case '\n':
        line++;
        dots = 0;
        break;
      case '=':
      case ',':
      case '[':
      case ']':
      case '{':
      case '}':
        dots = 0;
        break;
      case '.':
        if (++dots > max_dots) {
          place.line = line;
          return true;
        }
        break;
      default:
        break;
    }
    i = next;
  }
  return false;
}

void append(Document &document, const toml::key *key, const toml::node &node) {
  ctoml_node flat = {};
  if (key) {
    flat.key = key->str().data();
    flat.key_length = key->str().size();
    flat.key_line = key->source().begin.line;
    flat.key_column = key->source().begin.column;
  }
  flat.line = node.source().begin.line;
  flat.column = node.source().begin.column;
  switch (node.type()) {
    case toml::node_type::table:
      flat.kind = CTOML_TABLE;
      flat.children = static_cast<uint32_t>(node.as_table()->size());
      break;
    case toml::node_type::array:
      flat.kind = CTOML_ARRAY;
      flat.children = static_cast<uint32_t>(node.as_array()->size());
      break;
    case toml::node_type::string: {
      const std::string &text = node.as_string()->get();
      flat.kind = CTOML_STRING;
      flat.text = text.data();
      flat.text_length = text.size();
      break;
    }
    case toml::node_type::integer:
      flat.kind = CTOML_INTEGER;
      flat.integer = node.as_integer()->get();
      break;
    case toml::node_type::floating_point:
      flat.kind = CTOML_FLOAT;
      flat.number = node.as_floating_point()->get();
      break;
    case toml::node_type::boolean:
      flat.kind = CTOML_BOOLEAN;
      flat.integer = node.as_boolean()->get() ? 1 : 0;
      break;
    default:
      flat.kind = CTOML_DATE;
      break;
  }
  document.nodes.push_back(flat);
  if (const toml::table *table = node.as_table()) {
    for (auto it = table->cbegin(); it != table->cend(); ++it) append(document, &it->first, it->second);
  } else if (const toml::array *array = node.as_array()) {
    for (const toml::node &item : *array) append(document, nullptr, item);
  }
}

ctoml_document refusal(const char *message, Place place, Document *owner) {
  ctoml_document result = {};
  result.error = message;
  result.error_line = place.line;
  result.error_column = place.column;
  result.owner = owner;
  return result;
}

}  // namespace

extern "C" ctoml_document ctoml_parse(const char *bytes, size_t length) {
  Document *document = nullptr;
  try {
    document = new Document();
    const std::string_view text(bytes ? bytes : "", length);
    if (has_endless_key(text, document->error_place)) {
      return refusal("a key of more than 16 dots", document->error_place, document);
    }
    try {
      document->root = toml::parse(text);
    } catch (const toml::parse_error &error) {
      document->error = std::string(error.description());
      document->error_place = {error.source().begin.line, error.source().begin.column};
      return refusal(document->error.c_str(), document->error_place, document);
    }
    append(*document, nullptr, document->root);
    ctoml_document result = {};
    result.nodes = document->nodes.data();
    result.count = document->nodes.size();
    result.owner = document;
    return result;
  } catch (const std::bad_alloc &) {
    return refusal("not enough memory to read it", {}, document);
  } catch (...) {
    return refusal("cannot be read, for a reason toml++ does not tell", {}, document);
  }
}

extern "C" void ctoml_free(ctoml_document document) { delete static_cast<Document *>(document.owner); }
