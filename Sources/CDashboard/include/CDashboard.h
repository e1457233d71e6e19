/* The dashboard's files as bytes of the program. A file of page/ is added in CDashboard.c, with its name and type. */
#ifndef CDASHBOARD_H
#define CDASHBOARD_H

#include <stddef.h>

struct dashboard_file {
  /* The path it is served under: "/" or "/assets/NAME". */
  const char *path;
  const char *type;
  const unsigned char *bytes;
  size_t size;
};

/* File number `index`, below the count. */
struct dashboard_file dashboard_files(size_t index);
extern const size_t dashboard_file_count;

#endif
