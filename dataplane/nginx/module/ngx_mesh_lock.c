
/*
 * A lock in memory that processes share, for a few instructions at a time.
 *
 * It names its owner: the process id, and when that process began.  One that
 * died with it does not keep it, even where nobody has reaped that process
 * yet, or another one has its id by now.  One that lives and does not go on,
 * because somebody stopped it, keeps it; but nobody waits for that long.
 */


#include "ngx_mesh_lock.h"


/* a holder on another processor is done by then */
#define NGX_MESH_LOCK_SPINS   64

/* one that must be given a processor first */
#define NGX_MESH_LOCK_WAIT    100            /* ms */

/* who was waited for in vain is not waited for again for so long */
#define NGX_MESH_LOCK_HASTE   1000           /* ms */


/* the 19th word behind the state: proc_pid_stat(5), field 22 */
#define NGX_MESH_STAT_BEGAN   19


typedef struct {
    u_char                    state;
    uint32_t                  began;         /* its lower bits, in ticks */
} ngx_mesh_process_t;


/* NGX_DECLINED: there is no such process; NGX_ERROR: that is not known */

static ngx_int_t
ngx_mesh_process_read(ngx_pid_t pid, ngx_mesh_process_t *process)
{
    int        n;
    u_char     path[sizeof("/proc//stat") + NGX_INT64_LEN], text[512];
    u_char    *p, *last;
    ssize_t    size;
    uint64_t   began;
    ngx_fd_t   fd;
    ngx_err_t  err;

    (void) ngx_sprintf(path, "/proc/%P/stat%Z", pid);

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return ngx_errno == NGX_ENOENT ? NGX_DECLINED : NGX_ERROR;
    }

    size = read(fd, text, sizeof(text));
    err = ngx_errno;

    (void) ngx_close_file(fd);

    if (size <= 0) {
        return size == -1 && err == NGX_ESRCH ? NGX_DECLINED : NGX_ERROR;
    }

    /* its name may have blanks and parentheses in it */

    last = text + size;

    for (p = last; p > text && p[-1] != ')'; p--) { /* void */ }

    if (p == text || last - p < 2) {
        return NGX_ERROR;
    }

    process->state = p[1];

    for (p++, n = 0; n < NGX_MESH_STAT_BEGAN; n++) {

        p = ngx_strlchr(p, last, ' ');

        if (p == NULL) {
            return NGX_ERROR;
        }

        p++;
    }

    for (began = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        began = began * 10 + (*p - '0');
    }

    process->began = (uint32_t) began;

    return NGX_OK;
}


ngx_atomic_uint_t
ngx_mesh_owner(void)
{
    ngx_mesh_process_t        self;

    static ngx_pid_t          pid;
    static ngx_atomic_uint_t  owner;

    if (pid != ngx_pid) {

        if (ngx_mesh_process_read(ngx_pid, &self) != NGX_OK) {
            self.began = 0;
        }

        pid = ngx_pid;
        owner = (ngx_atomic_uint_t) self.began << 32 | (uint32_t) pid;
    }

    return owner;
}


/* what cannot be known counts as alive */

ngx_uint_t
ngx_mesh_owner_lives(ngx_atomic_uint_t owner)
{
    uint32_t            began;
    ngx_int_t           rc;
    ngx_pid_t           pid;
    ngx_mesh_process_t  process;

    pid = (ngx_pid_t) (owner & 0xffffffff);
    began = (uint32_t) (owner >> 32);

    if (pid <= 0) {
        return 0;
    }

    /* no /proc says when processes began */

    if ((ngx_mesh_owner() >> 32) == 0) {
        return kill(pid, 0) == 0 || ngx_errno != NGX_ESRCH;
    }

    rc = ngx_mesh_process_read(pid, &process);

    if (rc != NGX_OK) {
        return rc == NGX_ERROR;
    }

    return process.began == began
           && process.state != 'Z' && process.state != 'X';
}


/* NGX_BUSY: it lives */

static ngx_int_t
ngx_mesh_lock_take_over(ngx_atomic_t *lock, ngx_atomic_uint_t holder)
{
    if (holder == 0
        || (holder != ngx_mesh_owner() && ngx_mesh_owner_lives(holder)))
    {
        return NGX_BUSY;
    }

    return ngx_atomic_cmp_set(lock, holder, ngx_mesh_owner()) ? NGX_DECLINED
                                                              : NGX_BUSY;
}


ngx_int_t
ngx_mesh_lock(ngx_atomic_t *lock)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_atomic_uint_t         holder;

    static ngx_msec_t         since;
    static ngx_atomic_uint_t  slow;

    for (i = 0; ; i++) {

        if (ngx_atomic_cmp_set(lock, 0, ngx_mesh_owner())) {
            return NGX_OK;
        }

        if (i < NGX_MESH_LOCK_SPINS) {
            ngx_sched_yield();
            continue;
        }

        holder = *lock;
        rc = ngx_mesh_lock_take_over(lock, holder);

        if (rc != NGX_BUSY) {
            return rc;
        }

        if (holder == slow && holder
            && ngx_current_msec - since < NGX_MESH_LOCK_HASTE)
        {
            return NGX_BUSY;
        }

        if (i == NGX_MESH_LOCK_SPINS + NGX_MESH_LOCK_WAIT) {
            slow = holder;
            since = ngx_current_msec;
            return NGX_BUSY;
        }

        ngx_msleep(1);
    }
}


void
ngx_mesh_unlock(ngx_atomic_t *lock)
{
    (void) ngx_atomic_cmp_set(lock, ngx_mesh_owner(), 0);
}
