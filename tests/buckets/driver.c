
/*
 * The module's rate limits without requests around them: the limits of a
 * document, callers by name, and times that the test says.
 */


#include "driver.h"


/* the number of the limit that holds for the caller at that port, or -1 */

ngx_int_t
driver_take(const char *pod, ngx_uint_t port, ngx_msec_t now, ngx_int_t *rc,
    ngx_msec_t *wait)
{
    ngx_str_t            name;
    ngx_mesh_limits_t   *ls;
    ngx_mesh_limited_t  *caller;

    ls = &ngx_mesh.table->limits;

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
