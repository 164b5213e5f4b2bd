/* Makes a process believe that it runs on another machine: a library for LD_PRELOAD (tests/kill/clocks.sh).
 *
 *   CLOCK_SHIFT=SECONDS   its clock is ahead by so much (behind, if negative); times of files stay those of the disk
 *   CLOCK_BOOT=FILE       the identity of its machine's last start is read from here
 *   CLOCK_NO_LOCKS=1      the file system knows no locks
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <time.h>

#define REAL(type, name, ...) type (*real)(__VA_ARGS__) = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static long shift(void) {
    const char *text = getenv("CLOCK_SHIFT");
    return text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    REAL(int, "gettimeofday", struct timeval *, void *);
    int result = real(now, zone);
    if (result == 0) now->tv_sec += shift();
    return result;
}

time_t time(time_t *at) {
    REAL(time_t, "time", time_t *);
    time_t now = real(NULL) + shift();
    if (at) *at = now;
    return now;
}

int flock(int file, int operation) {
    REAL(int, "flock", int, int);
    if (getenv("CLOCK_NO_LOCKS")) {
        errno = ENOLCK;
        return -1;
    }
    return real(file, operation);
}

static const char *elsewhere(const char *path) {
    const char *boot = getenv("CLOCK_BOOT");
    return boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0 ? boot : path;
}

#define OPEN(function)                                                    \
    int function(const char *path, int flags, ...) {                      \
        va_list rest;                                                     \
        va_start(rest, flags);                                            \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;         \
        va_end(rest);                                                     \
        REAL(int, #function, const char *, int, ...);                     \
        return real(elsewhere(path), flags, mode);                        \
    }
OPEN(open)
OPEN(open64)
