// Everything Glibc's Swift module lacks. No logic here.
#ifndef C_SPOOL_SHIMS_H
#define C_SPOOL_SHIMS_H
#include "spool_files.h"
#endif
