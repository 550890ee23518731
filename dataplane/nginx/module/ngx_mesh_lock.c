
/*
 * A lock in memory that workers share, for a few instructions at a time.  It
 * holds its owner's process id: one that died with it does not keep it.
 */


#include "ngx_mesh.h"


void
ngx_mesh_lock(ngx_atomic_t *lock)
{
    ngx_pid_t  holder;

    while (!ngx_atomic_cmp_set(lock, 0, ngx_pid)) {

        holder = (ngx_pid_t) *lock;

        if (holder && kill(holder, 0) == -1 && ngx_errno == ESRCH
            && ngx_atomic_cmp_set(lock, holder, ngx_pid))
        {
            return;
        }

        ngx_sched_yield();
    }
}


void
ngx_mesh_unlock(ngx_atomic_t *lock)
{
    (void) ngx_atomic_cmp_set(lock, ngx_pid, 0);
}
