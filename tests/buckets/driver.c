
/*
 * The module's rate limits without requests around them: the limits of a
 * document, callers by name, and times that the test says.
 */


#include "core.h"
#include "ngx_mesh_table.h"


/* nothing else of the library is seen from outside, or linked without need */

#pragma GCC visibility push(default)


static ngx_pool_t        *driver_pool;
static ngx_mesh_table_t  *driver_table;
static u_char             driver_error[NGX_MESH_ERROR_MAX + 1];


/* empty: taken; else what is wrong with the document */

const char *
driver_open(const char *document)
{
    ngx_str_t  text, error;

    core_init();

    if (ngx_mesh_buckets_map(ngx_cycle->log) != NGX_OK) {
        return "no memory";
    }

    if (driver_pool) {
        ngx_destroy_pool(driver_pool);
    }

    driver_pool = ngx_create_pool(4096, ngx_cycle->log);
    error.data = driver_error;
    error.len = 0;
    text.len = ngx_strlen(document);
    text.data = ngx_pnalloc(driver_pool, text.len);
    ngx_memcpy(text.data, document, text.len);

    driver_table = ngx_mesh_parse(driver_pool, &text, &error);
    driver_error[error.len] = '\0';

    return (char *) driver_error;
}


/* the number of the limit that holds for the caller at that port, or -1 */

ngx_int_t
driver_take(const char *pod, ngx_uint_t port, ngx_msec_t now, ngx_int_t *rc,
    ngx_msec_t *wait)
{
    ngx_str_t            name;
    ngx_mesh_limits_t   *ls;
    ngx_mesh_limited_t  *caller;

    ls = &driver_table->limits;

    name.len = ngx_strlen(pod);
    name.data = (u_char *) pod;

    caller = ngx_mesh_limits_find(ls, &name);

    if (caller == NULL) {
        name.len = 0;
        caller = ngx_mesh_limits_find(ls, &name);
    }

    while (caller && !ngx_mesh_limit_holds_for_port(caller->limit, port)) {
        caller = caller->next;
    }

    if (caller == NULL) {
        return -1;
    }

    *rc = ngx_mesh_bucket_take(caller, now, wait);

    return caller->limit - ls->limits;
}


ngx_uint_t
driver_missed(void)
{
    return ngx_mesh_buckets_missed();
}
