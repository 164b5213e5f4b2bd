/* Makes one allocation of a process fail: a library for LD_PRELOAD (tests/kill/memory.sh).
 *
 *   MEMORY_LEAST=BYTES   allocations of at least so many bytes are counted (65,536)
 *   MEMORY_FAIL=N        the N-th of these fails, as where a machine has no memory left; the first is 1
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static size_t least, fails_at;
static atomic_size_t seen;

__attribute__((constructor)) static void start(void) {
    const char *text = getenv("MEMORY_LEAST");
    least = text ? strtoull(text, NULL, 10) : 65536;
    text = getenv("MEMORY_FAIL");
    fails_at = text ? strtoull(text, NULL, 10) : 0;
}

static int fails(size_t bytes) { return fails_at && bytes >= least && atomic_fetch_add(&seen, 1) + 1 == fails_at; }

void *malloc(size_t bytes) {
    if (!fails(bytes)) return __libc_malloc(bytes);
    errno = ENOMEM;
    return NULL;
}

void *calloc(size_t count, size_t bytes) {
    if (!fails(count * bytes)) return __libc_calloc(count, bytes);
    errno = ENOMEM;
    return NULL;
}

void *realloc(void *old, size_t bytes) {
    if (!fails(bytes)) return __libc_realloc(old, bytes);
    errno = ENOMEM;
    return NULL;
}

int posix_memalign(void **found, size_t alignment, size_t bytes) {
    if (fails(bytes)) return ENOMEM;
    *found = __libc_memalign(alignment, bytes);
    return *found ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    if (!fails(bytes)) return __libc_memalign(alignment, bytes);
    errno = ENOMEM;
    return NULL;
}
