
/*
 * What nginx's process has and the parts of it that are linked alone miss:
 * the cycle, the clock, the log, the worker's state.  "core_init" first.
 */


#include "core.h"


volatile ngx_msec_t   ngx_current_msec;
volatile ngx_cycle_t *ngx_cycle;
volatile ngx_time_t  *ngx_cached_time;
ngx_pid_t             ngx_pid;
ngx_mesh_worker_t     ngx_mesh;

static ngx_cycle_t    core_cycle;
static ngx_log_t      core_log;
static ngx_time_t     core_time;


void
core_init(void)
{
    ngx_pagesize = getpagesize();
    ngx_current_msec = 1000000;
    ngx_cached_time = &core_time;
    ngx_pid = getpid();

    core_cycle.log = &core_log;
    ngx_cycle = &core_cycle;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}
