/* What ties the daemon to the system it runs on: the service manager's socket, the journal's, capabilities, ACLs. */
#ifndef SPOOL_SERVICE_H
#define SPOOL_SERVICE_H

#include <stddef.h>
#include <sys/types.h>

/* One datagram to a Unix socket; a leading '@' stands for an abstract name (sd_notify(3)). 0, or -1 and errno. */
int spool_send_datagram(const char *socket, const void *bytes, size_t size);

/* Takes the ambient capabilities away, so that no program started from here on inherits one (capabilities(7)). This
   process keeps what it has. 0, also where the kernel knows none. */
int spool_clear_ambient(void);
/* Lets the programs this thread starts inherit CAP_SETUID and CAP_SETGID, until spool_clear_ambient. */
int spool_lend_identity(void);

/* Adds an entry to the access control list of an open file (acl(5)): this user may read. A list that is not there yet is
   made of the mode. 0, or -1 and errno: EOPNOTSUPP where the file system has no such lists. */
int spool_grant_read(int fd, uid_t user);

#endif
