#define _GNU_SOURCE
#include "include/spool_service.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

int spool_send_datagram(const char *name, const void *bytes, size_t size) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  if (length < 2 || length >= sizeof address.sun_path) {
    errno = EINVAL;
    return -1;
  }
  memcpy(address.sun_path, name, length);
  if (name[0] == '@') address.sun_path[0] = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  /* An abstract name has no terminator, and each byte counts. */
  socklen_t used = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '@' ? 0 : 1));
  /* A reader that does not read must not hold the daemon: what does not fit is lost. */
  ssize_t sent = sendto(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, used);
  int failure = errno;
  close(fd);
  errno = failure;
  return sent == (ssize_t)size ? 0 : -1;
}

int spool_clear_ambient(void) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 || errno == EINVAL) return 0;
  return -1;
}

int spool_lend_identity(void) {
  /* Ambient needs inheritable, which the service manager sets but sudo or a file capability may not. */
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets) != 0) return -1;
  uint32_t wanted = 1u << CAP_SETUID | 1u << CAP_SETGID;
  if ((sets[0].inheritable & wanted) != wanted) {
    sets[0].inheritable |= wanted;
    if (syscall(SYS_capset, &header, sets) != 0) return -1;
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETUID, 0, 0) != 0) return -1;
  return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETGID, 0, 0);
}

/* The kernel's form of a list: a version, then entries in the order of their tags, little-endian. */
#define ACL_NAME "system.posix_acl_access"
enum { ACL_OWNER = 1, ACL_USER = 2, ACL_GROUP_OWNER = 4, ACL_GROUP = 8, ACL_MASK = 16, ACL_OTHER = 32 };
enum { ACL_MAY_READ = 4, ACL_MOST = 512 };

struct acl_entry {
  uint16_t tag, permissions;
  uint32_t id;
};

struct acl {
  uint32_t version;
  struct acl_entry entries[ACL_MOST + 2];
};

static struct acl_entry entry(uint16_t tag, unsigned permissions, uint32_t id) {
  return (struct acl_entry){htole16(tag), htole16((uint16_t)permissions), htole32(id)};
}

int spool_grant_read(int fd, uid_t user) {
  struct acl list, next = {.version = htole32(2)};
  size_t count = 0, filled = 0;
  ssize_t size = fgetxattr(fd, ACL_NAME, &list, sizeof list.version + ACL_MOST * sizeof list.entries[0]);
  if (size >= (ssize_t)sizeof list.version) {
    count = ((size_t)size - sizeof list.version) / sizeof list.entries[0];
  } else if (size < 0 && errno == ENODATA) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -1;
    list.entries[count++] = entry(ACL_OWNER, status.st_mode >> 6 & 7, UINT32_MAX);
    list.entries[count++] = entry(ACL_GROUP_OWNER, status.st_mode >> 3 & 7, UINT32_MAX);
    list.entries[count++] = entry(ACL_OTHER, status.st_mode & 7, UINT32_MAX);
  } else {
    if (size >= 0) errno = EINVAL;
    return -1;
  }
  int has_mask = 0;
  for (size_t i = 0; i < count; i++) {
    uint16_t tag = le16toh(list.entries[i].tag);
    if (tag == ACL_USER && le32toh(list.entries[i].id) == user) continue;
    /* The new entry stands behind the other users, the mask before everybody else. */
    if (tag == ACL_GROUP_OWNER) next.entries[filled++] = entry(ACL_USER, ACL_MAY_READ, user);
    if (tag == ACL_MASK) {
      has_mask = 1;
      list.entries[i].permissions |= htole16(ACL_MAY_READ);
    }
    if (tag == ACL_OTHER && !has_mask) {
      struct stat status;
      if (fstat(fd, &status) != 0) return -1;
      next.entries[filled++] = entry(ACL_MASK, (status.st_mode >> 3 & 7) | ACL_MAY_READ, UINT32_MAX);
    }
    next.entries[filled++] = list.entries[i];
  }
  return fsetxattr(fd, ACL_NAME, &next, sizeof next.version + filled * sizeof next.entries[0], 0);
}
