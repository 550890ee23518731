/*
 * The wall clock of one process, ahead by as many seconds as a file says
 * that a test writes to: CLOCK_REALTIME has no namespace.  Preloaded.
 */

#define _GNU_SOURCE

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


static volatile const int64_t *ahead;


/* at once: NGINX gives its processes an environment of their own later */

__attribute__((constructor)) static void
clock_begin(void)
{
    int          fd;
    void        *place;
    const char  *path;

    path = getenv("MESH_TEST_CLOCK");
    fd = path ? open(path, O_RDONLY|O_CLOEXEC) : -1;

    if (fd == -1) {
        return;
    }

    place = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    (void) close(fd);

    if (place != MAP_FAILED) {
        ahead = place;
    }
}


int
clock_gettime(clockid_t id, struct timespec *t)
{
    int  rc;

    rc = (int) syscall(SYS_clock_gettime, id, t);

    if (rc == 0 && ahead
        && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
    {
        t->tv_sec += *ahead;
    }

    return rc;
}


int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec  now;

    (void) zone;
    (void) clock_gettime(CLOCK_REALTIME, &now);

    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *t)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_REALTIME, &now);

    if (t) {
        *t = now.tv_sec;
    }

    return now.tv_sec;
}
