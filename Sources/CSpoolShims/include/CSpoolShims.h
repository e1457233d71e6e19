/* What Glibc's Swift module lacks. One header per area; no logic beyond the call itself. */
#ifndef CSPOOLSHIMS_H
#define CSPOOLSHIMS_H

#include "spool_files.h"
#include "spool_process.h"
#include "spool_service.h"
#include "spool_watch.h"

#endif
