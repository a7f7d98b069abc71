/*
 * Makes one system call of the server fail once: loaded with LD_PRELOAD into node. The test writes the file that
 * PHAROS_FAULT_FILE names, which this library maps:
 *
 *      0  which call fails (the numbers below), 0 for none
 *      4  errno, or SHORT: a write that writes half
 *      8  which kinds of descriptors count: 1 regular files, 2 sockets, 4 pipes, 8 others
 *     12  how many such calls come first
 *     16  how many calls failed
 *
 * koffi finds the same functions, because the server loads libc by the global name space where it can.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, READ, WRITE, FSYNC, RENAME, MKDIR, TRUNCATE, SOCKET, BIND, LISTEN, ACCEPT, CONNECT, EPOLL_CTL, THREAD, SEND, RECEIVE };
enum { SHORT = 1000 };

typedef struct { _Atomic int32_t call, error, kinds, before, failed; } Control;
static Control *control;

__attribute__((constructor)) static void map_control(void) {
  const char *path = getenv("PHAROS_FAULT_FILE");
  if (path == NULL || __builtin_strcmp(program_invocation_short_name, "node") != 0) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) control = at;
  close(fd);
}

static int kind_of(int fd) {
  struct stat found;
  int kept = errno;
  int kind = fstat(fd, &found) != 0 ? 8 : S_ISREG(found.st_mode) ? 1 : S_ISSOCK(found.st_mode) ? 2 : S_ISFIFO(found.st_mode) ? 4 : 8;
  errno = kept;
  return kind;
}

/* Whether this call fails: then errno is set. fd < 0: the call has no descriptor. */
static int fails(int call, int fd) {
  if (control == NULL || control->call != call) return 0;
  if (fd >= 0 && (kind_of(fd) & control->kinds) == 0) return 0;
  if (control->before-- != 0) return 0;
  control->call = 0;
  control->failed++;
  errno = control->error;
  return 1;
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);

#define OPENS(name) \
  int name(const char *path, int flags, ...) { \
    REAL(name) \
    va_list more; \
    va_start(more, flags); \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    return fails(OPEN, -1) ? -1 : real(path, flags, mode); \
  }
OPENS(open)
OPENS(open64)

#define IS_SHORT (errno == SHORT)

ssize_t write(int fd, const void *from, size_t count) {
  REAL(write)
  if (!fails(WRITE, fd)) return real(fd, from, count);
  return IS_SHORT && count > 1 ? real(fd, from, count / 2) : IS_SHORT ? real(fd, from, count) : -1;
}

#define WRITES(name) \
  ssize_t name(int fd, const void *from, size_t count, __typeof__((off64_t)0) at) { \
    REAL(name) \
    if (!fails(WRITE, fd)) return real(fd, from, count, at); \
    return IS_SHORT && count > 1 ? real(fd, from, count / 2, at) : IS_SHORT ? real(fd, from, count, at) : -1; \
  }
WRITES(pwrite64)

ssize_t writev(int fd, const struct iovec *from, int count) {
  REAL(writev)
  if (!fails(WRITE, fd)) return real(fd, from, count);
  if (!IS_SHORT) return -1;
  struct iovec first = from[0];
  if (first.iov_len > 1) first.iov_len /= 2;
  return real(fd, &first, 1);
}

#define READS(name, ...) \
  REAL(name) \
  return fails(READ, fd) ? -1 : real(__VA_ARGS__);
ssize_t read(int fd, void *to, size_t count) { READS(read, fd, to, count) }
ssize_t pread64(int fd, void *to, size_t count, off64_t at) { READS(pread64, fd, to, count, at) }
ssize_t readv(int fd, const struct iovec *to, int count) { READS(readv, fd, to, count) }

#define PLAIN(call, fd, name, ...) \
  REAL(name) \
  return fails(call, fd) ? -1 : real(__VA_ARGS__);
int fsync(int fd) { PLAIN(FSYNC, -1, fsync, fd) }
int fdatasync(int fd) { PLAIN(FSYNC, -1, fdatasync, fd) }
int rename(const char *from, const char *to) { PLAIN(RENAME, -1, rename, from, to) }
int mkdir(const char *path, mode_t mode) { PLAIN(MKDIR, -1, mkdir, path, mode) }
int ftruncate64(int fd, off64_t length) { PLAIN(TRUNCATE, -1, ftruncate64, fd, length) }
int socket(int domain, int type, int protocol) { PLAIN(SOCKET, -1, socket, domain, type, protocol) }
int bind(int fd, const struct sockaddr *at, socklen_t octets) { PLAIN(BIND, -1, bind, fd, at, octets) }
int listen(int fd, int backlog) { PLAIN(LISTEN, -1, listen, fd, backlog) }
int accept4(int fd, struct sockaddr *from, socklen_t *octets, int flags) { PLAIN(ACCEPT, -1, accept4, fd, from, octets, flags) }
int connect(int fd, const struct sockaddr *to, socklen_t octets) { PLAIN(CONNECT, -1, connect, fd, to, octets) }
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) { PLAIN(SEND, -1, sendmsg, fd, message, flags) }
ssize_t recvmsg(int fd, struct msghdr *message, int flags) { PLAIN(RECEIVE, -1, recvmsg, fd, message, flags) }
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) { PLAIN(SEND, -1, sendmmsg, fd, messages, count, flags) }
int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *until) { PLAIN(RECEIVE, -1, recvmmsg, fd, messages, count, flags, until) }

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *with) {
  REAL(pthread_create)
  return fails(THREAD, -1) ? errno : real(thread, how, run, with);
}
