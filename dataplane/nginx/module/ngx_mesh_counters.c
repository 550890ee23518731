
/*
 * The counters file: opened by the master, mapped into its workers.
 */


#include "ngx_mesh_counters.h"
#include <sys/mman.h>
#include <stddef.h>


static u_char  ngx_mesh_magic[8] = { 'n', 'g', 'x', 'm', 'e', 's', 'h', '\n' };


_Static_assert(sizeof(ngx_mesh_slot_t) == 1024, "slot layout");
_Static_assert(offsetof(ngx_mesh_counters_t, index) == 4096,
               "header layout");


static ngx_int_t
ngx_mesh_counters_usable(ngx_fd_t fd)
{
    ngx_file_info_t           fi;
    ngx_mesh_counters_head_t  head;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR
        || ngx_file_size(&fi) != sizeof(ngx_mesh_counters_t)
        || pread(fd, &head, sizeof(head), 0) != (ssize_t) sizeof(head))
    {
        return NGX_DECLINED;
    }

    if (ngx_memcmp(head.magic, ngx_mesh_magic, sizeof(ngx_mesh_magic)) != 0
        || head.version != NGX_MESH_COUNTERS_VERSION
        || head.size != sizeof(ngx_mesh_counters_t))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* a file of another version is started anew: its numbers mean nothing here */

static ngx_fd_t
ngx_mesh_counters_file(ngx_cycle_t *cycle, u_char *path)
{
    ngx_fd_t                  fd;
    ngx_mesh_counters_head_t  head;

    fd = ngx_open_file(path, NGX_FILE_RDWR, NGX_FILE_OPEN, 0);

    if (fd != NGX_INVALID_FILE) {

        if (ngx_mesh_counters_usable(fd) == NGX_OK) {
            return fd;
        }

        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "mesh: counters \"%s\" are of another version and start "
                      "anew", path);

        (void) ngx_close_file(fd);
        (void) ngx_delete_file(path);
    }

    fd = ngx_open_file(path, NGX_FILE_RDWR, NGX_FILE_CREATE_OR_OPEN, 0600);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", path);
        return NGX_INVALID_FILE;
    }

    ngx_memcpy(head.magic, ngx_mesh_magic, sizeof(ngx_mesh_magic));
    head.version = NGX_MESH_COUNTERS_VERSION;
    head.size = sizeof(ngx_mesh_counters_t);

    if (ftruncate(fd, sizeof(ngx_mesh_counters_t)) == -1
        || pwrite(fd, &head, sizeof(head), 0) != (ssize_t) sizeof(head))
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "mesh: writing \"%s\" failed", path);
        (void) ngx_close_file(fd);
        return NGX_INVALID_FILE;
    }

    return fd;
}


static ngx_mesh_counters_t *
ngx_mesh_counters_map(ngx_cycle_t *cycle, u_char *path)
{
    void      *p;
    ngx_fd_t   fd;

    fd = ngx_mesh_counters_file(cycle, path);

    if (fd == NGX_INVALID_FILE) {
        return NULL;
    }

    p = mmap(NULL, sizeof(ngx_mesh_counters_t), PROT_READ|PROT_WRITE,
             MAP_SHARED, fd, 0);

    (void) ngx_close_file(fd);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "mmap(\"%s\") failed", path);
        return NULL;
    }

    return p;
}


/* numbers by which memory is reached: nobody looks at them again */

static ngx_uint_t
ngx_mesh_counters_are_sound(ngx_mesh_counters_t *c)
{
    ngx_uint_t  i;

    if (c->nslots > NGX_MESH_SLOTS || c->nhistograms > NGX_MESH_HISTOGRAMS) {
        return 0;
    }

    for (i = 0; i < c->nslots; i++) {
        if (c->slots[i].len > NGX_MESH_LABELS_MAX) {
            return 0;
        }
    }

    for (i = 0; i < c->nhistograms; i++) {
        if (c->histograms[i].slot >= NGX_MESH_SLOTS) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_mesh_counters_lock(ngx_mesh_counters_t *c)
{
    ngx_int_t  rc;

    rc = ngx_mesh_lock(&c->lock);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    /* a series that nobody would find would be made a second time */

    ngx_mesh_slots_enter(c);
    ngx_mesh_histograms_enter(c);

    return NGX_OK;
}


/* a worker of a master that was killed may still be at work */

static void
ngx_mesh_counters_bury(ngx_mesh_counters_t *c)
{
    ngx_uint_t  i;

    if (ngx_mesh_counters_lock(c) == NGX_OK) {
        ngx_mesh_unlock(&c->lock);
    }

    for (i = 0; i < NGX_MESH_WORKERS_MAX; i++) {
        if (!ngx_mesh_owner_lives(c->gauges[i].owner)) {
            c->gauges[i].owner = 0;
        }
    }
}


/* by the master, before it has workers */

ngx_int_t
ngx_mesh_counters_open(ngx_cycle_t *cycle, ngx_str_t *directory)
{
    u_char               *path;
    ngx_mesh_counters_t  *c;

    path = ngx_pnalloc(cycle->pool, directory->len + sizeof("/counters"));
    if (path == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(path, "%V/counters%Z", directory);

    c = ngx_mesh_counters_map(cycle, path);

    if (c && !ngx_mesh_counters_are_sound(c)) {

        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "mesh: counters \"%s\" are damaged and start anew",
                      path);

        (void) munmap(c, sizeof(ngx_mesh_counters_t));
        (void) ngx_delete_file(path);

        c = ngx_mesh_counters_map(cycle, path);
    }

    if (c == NULL) {
        return NGX_ERROR;
    }

    c->draining = 0;
    ngx_mesh_counters_bury(c);

    ngx_mesh.counters = c;

    return NGX_OK;
}


void
ngx_mesh_counters_start_worker(void)
{
    ngx_uint_t          i;
    ngx_mesh_gauge_t   *gauge;
    ngx_atomic_uint_t   owner;

    for (i = 0; i < NGX_MESH_WORKERS_MAX; i++) {
        gauge = &ngx_mesh.counters->gauges[i];
        owner = gauge->owner;

        if (!ngx_mesh_owner_lives(owner)
            && ngx_atomic_cmp_set(&gauge->owner, owner, ngx_mesh_owner()))
        {
            gauge->active = 0;
            ngx_mesh.gauge = &gauge->active;
            return;
        }
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "mesh: connections of this worker are not counted: %d "
                  "others are", NGX_MESH_WORKERS_MAX);
}
