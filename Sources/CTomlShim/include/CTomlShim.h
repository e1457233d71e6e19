// TOML text in, a flat array of nodes with their places out: all of toml++ that Swift gets to see.
//
// Promises: no exception leaves; every pointer in a document lives until ctoml_free; bounded depth, so neither parsing
// nor freeing can overflow the stack whatever the text. What the values mean is left to SpoolConfig.
#ifndef CTOMLSHIM_H
#define CTOMLSHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  CTOML_TABLE = 0,
  CTOML_ARRAY = 1,
  CTOML_STRING = 2,
  CTOML_INTEGER = 3,
  CTOML_FLOAT = 4,
  CTOML_BOOLEAN = 5,
  // A date, a time or both.
  CTOML_DATE = 6,
};

// One node; its `children` follow it, each with all of its own children, as in a walk through the document.
typedef struct {
  int32_t kind;
  uint32_t children;
  // Inside a table; NULL inside an array and for the root. UTF-8, not terminated.
  const char *key;
  size_t key_length;
  // CTOML_STRING only. UTF-8, not terminated, may hold NUL.
  const char *text;
  size_t text_length;
  // CTOML_INTEGER; 0 or 1 for CTOML_BOOLEAN.
  int64_t integer;
  // CTOML_FLOAT
  double number;
  // Counted from 1; 0 where the document has no such place. Columns count code points.
  uint32_t key_line, key_column;
  uint32_t line, column;
} ctoml_node;

typedef struct {
  // The root is nodes[0]. NULL when the text is not TOML: then `error` says why.
  const ctoml_node *nodes;
  size_t count;
  const char *error;
  uint32_t error_line, error_column;
  void *owner;
} ctoml_document;

// Parses `length` bytes. Always to be followed by ctoml_free.
ctoml_document ctoml_parse(const char *bytes, size_t length);

void ctoml_free(ctoml_document document);

#ifdef __cplusplus
}
#endif

#endif
