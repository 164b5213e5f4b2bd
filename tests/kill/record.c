/* Records what a process does to files below RECORD_ROOT, for tests/kill/powerloss.py: a library for LD_PRELOAD.
 *
 * Every creation, write, sync, rename and removal is appended to RECORD_LOG, once it was done, as one record: a letter, numbers
 * and byte counts on a line, then the names and the bytes. Files are known by their inode, as a disk knows them.
 *
 *   C ino len        a file was created            name
 *   T ino            ... or emptied
 *   W ino at len     bytes were written            bytes
 *   S ino            the file or folder was synced
 *   R len len        renamed                       old new
 *   U len            a file was removed            name
 *   M ino len        a folder was made             name
 *   D len            a folder was removed          name
 *   X len            something that this library does not know how to play again
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...) type (*real)(__VA_ARGS__) = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static const char *root;
static int out = -1;
/* Files below the root that are open for writing or syncing, by descriptor. */
static unsigned char ours[65536];

__attribute__((constructor)) static void start(void) {
    const char *log = getenv("RECORD_LOG");
    root = getenv("RECORD_ROOT");
    if (!log || !root) return;
    REAL(int, "open", const char *, int, ...);
    int low = real(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    out = fcntl(low, F_DUPFD_CLOEXEC, 900);
    close(low);
}

/* The name as seen from the file system's root, or nothing if it lies elsewhere. */
static const char *inside(int folder, const char *path, char *full) {
    char base[4096];
    if (out < 0 || !path) return NULL;
    if (path[0] == '/') {
        snprintf(full, 8192, "%s", path);
    } else if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return NULL;
        snprintf(full, 8192, "%s/%s", base, path);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return NULL;
        base[length] = 0;
        snprintf(full, 8192, "%s/%s", base, path);
    }
    size_t length = strlen(root);
    return strncmp(full, root, length) == 0 && (full[length] == '/' || full[length] == 0) ? full : NULL;
}

static void note(const char *head, const void *one, size_t first, const void *other, size_t second) {
    struct iovec parts[3] = {{(void *)head, strlen(head)}, {(void *)one, first}, {(void *)other, second}};
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (real(out, parts, 3) != (ssize_t)(strlen(head) + first + second)) abort();
}

static void named(char what, unsigned long ino, const char *name) {
    char head[80];
    if (what == 'C' || what == 'M') snprintf(head, sizeof head, "%c %lu %zu\n", what, ino, strlen(name));
    else snprintf(head, sizeof head, "%c %zu\n", what, strlen(name));
    note(head, name, strlen(name), NULL, 0);
}

static unsigned long inode(int file) {
    struct stat found;
    return fstat(file, &found) ? 0 : found.st_ino;
}

static int opened(int file, int flags, const char *name, int existed) {
    if (file < 0 || !name) return file;
    if (file < (int)sizeof ours) ours[file] = 1;
    if ((flags & O_CREAT) && !existed) named('C', inode(file), name);
    else if ((flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY) {
        char head[80];
        snprintf(head, sizeof head, "T %lu\n", inode(file));
        note(head, NULL, 0, NULL, 0);
    }
    return file;
}

#define OPEN(function)                                                                   \
    int function(const char *path, int flags, ...) {                                     \
        char full[8192];                                                                 \
        va_list rest;                                                                    \
        va_start(rest, flags);                                                           \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;        \
        va_end(rest);                                                                    \
        REAL(int, #function, const char *, int, ...);                                    \
        const char *name = inside(AT_FDCWD, path, full);                                 \
        int existed = name && access(path, F_OK) == 0;                                   \
        return opened(real(path, flags, mode), flags, name, existed);                    \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                                                 \
    int function(int folder, const char *path, int flags, ...) {                         \
        char full[8192];                                                                 \
        va_list rest;                                                                    \
        va_start(rest, flags);                                                           \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;        \
        va_end(rest);                                                                    \
        REAL(int, #function, int, const char *, int, ...);                               \
        const char *name = inside(folder, path, full);                                   \
        int existed = name && faccessat(folder, path, F_OK, 0) == 0;                     \
        return opened(real(folder, path, flags, mode), flags, name, existed);            \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int file) {
    REAL(int, "close", int);
    if (file >= 0 && file < (int)sizeof ours) ours[file] = 0;
    return real(file);
}

static int is_ours(int file) { return out >= 0 && file >= 0 && file < (int)sizeof ours && ours[file]; }

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!is_ours(file)) return real(file, bytes, count);
    off_t at = lseek(file, 0, SEEK_CUR);
    if (fcntl(file, F_GETFL) & O_APPEND) at = lseek(file, 0, SEEK_END);
    ssize_t done = real(file, bytes, count);
    if (done > 0) {
        char head[80];
        snprintf(head, sizeof head, "W %lu %lld %zd\n", inode(file), (long long)at, done);
        note(head, bytes, done, NULL, 0);
    }
    return done;
}

static ssize_t unknown(int file, const char *what) {
    if (is_ours(file)) named('X', 0, what);
    return 0;
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    unknown(file, "writev");
    return real(file, parts, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    unknown(file, "pwrite");
    return real(file, bytes, count, at);
}

int ftruncate64(int file, off_t length) {
    REAL(int, "ftruncate64", int, off_t);
    unknown(file, "ftruncate");
    return real(file, length);
}

ssize_t copy_file_range(int from, off64_t *in, int to, off64_t *at, size_t count, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    unknown(to, "copy_file_range");
    return real(from, in, to, at, count, flags);
}

static int synced(int file, int result) {
    if (result == 0 && is_ours(file)) {
        char head[80];
        snprintf(head, sizeof head, "S %lu\n", inode(file));
        note(head, NULL, 0, NULL, 0);
    }
    return result;
}

int fsync(int file) {
    REAL(int, "fsync", int);
    return synced(file, real(file));
}

int fdatasync(int file) {
    REAL(int, "fdatasync", int);
    return synced(file, real(file));
}

int rename(const char *old, const char *new) {
    char one[8192], other[8192];
    REAL(int, "rename", const char *, const char *);
    int result = real(old, new);
    const char *from = inside(AT_FDCWD, old, one), *to = inside(AT_FDCWD, new, other);
    if (result == 0 && from && to) {
        char head[80];
        snprintf(head, sizeof head, "R %zu %zu\n", strlen(from), strlen(to));
        note(head, from, strlen(from), to, strlen(to));
    }
    return result;
}

static int removed(int result, char what, const char *name) {
    if (result == 0 && name) named(what, 0, name);
    return result;
}

int unlink(const char *path) {
    char full[8192];
    REAL(int, "unlink", const char *);
    const char *name = inside(AT_FDCWD, path, full);
    return removed(real(path), 'U', name);
}

int rmdir(const char *path) {
    char full[8192];
    REAL(int, "rmdir", const char *);
    const char *name = inside(AT_FDCWD, path, full);
    return removed(real(path), 'D', name);
}

int unlinkat(int folder, const char *path, int flags) {
    char full[8192];
    REAL(int, "unlinkat", int, const char *, int);
    const char *name = inside(folder, path, full);
    return removed(real(folder, path, flags), flags & AT_REMOVEDIR ? 'D' : 'U', name);
}

int mkdir(const char *path, mode_t mode) {
    char full[8192];
    REAL(int, "mkdir", const char *, mode_t);
    const char *name = inside(AT_FDCWD, path, full);
    int result = real(path, mode);
    struct stat found;
    if (result == 0 && name && stat(path, &found) == 0) named('M', found.st_ino, name);
    return result;
}
