
/*
 * Splits and circuits without a worker around them: a table of a document,
 * calls of one of its Services, and a clock that the test turns.
 */


#include "core.h"
#include "ngx_mesh_peer.h"
#include "ngx_mesh_split.h"


/* nothing else of the library is seen from outside, or linked without need */

#pragma GCC visibility push(default)


static u_char                driver_error[NGX_MESH_ERROR_MAX];
static ngx_mesh_direction_t  driver_way;


/* once: circuits outlive tables, as those of a sidecar do */

void
driver_start(void)
{
    core_init();
    ngx_mesh_peers_init();

    (void) ngx_mesh_circuits_map(ngx_cycle->log);
}


/* empty: taken; else what is wrong with the document */

const char *
driver_apply(const char *document, unsigned seed)
{
    ngx_str_t          text, error;
    ngx_pool_t        *pool;
    ngx_mesh_table_t  *t;

    srandom(seed);

    pool = ngx_create_pool(4096, ngx_cycle->log);
    error.data = driver_error;
    error.len = 0;
    text.len = ngx_strlen(document);
    text.data = ngx_pnalloc(pool, text.len);
    ngx_memcpy(text.data, document, text.len);

    t = ngx_mesh_parse(pool, &text, &error);

    if (t == NULL) {
        driver_error[error.len] = '\0';
        ngx_destroy_pool(pool);
        return (char *) driver_error;
    }

    (void) ngx_mesh_table_link(t);

    if (ngx_mesh.table) {
        ngx_mesh_table_release(ngx_mesh.table);
    }

    ngx_mesh.table = t;

    return "";
}


void
driver_clock(ngx_msec_t forward)
{
    ngx_current_msec += forward;
}


/* "fits": of each split of the document, whether the request does */

static ngx_uint_t
driver_fits(ngx_mesh_split_t *split, void *data)
{
    u_char  *fits = data;

    return fits[split - ngx_mesh.table->splits];
}


/*
 * Who answers a call of that address: the number of an upstream; those of
 * pods come after the others.  -1: a circuit is open
 */

static ngx_int_t
driver_call(ngx_mesh_route_t *r, u_char *fits)
{
    ngx_int_t  rc;

    rc = ngx_mesh_direct(&driver_way, r->upstream,
                         fits ? driver_fits : NULL, fits);

    return rc == NGX_OK ? driver_way.upstream - ngx_mesh.table->upstreams
                        : -1;
}


void
driver_calls(const char *address, ngx_uint_t port, u_char *fits,
    ngx_int_t *answers, ngx_uint_t count)
{
    ngx_uint_t         i;
    ngx_mesh_addr_t    addr;
    ngx_mesh_route_t  *r;

    ngx_memzero(&addr, sizeof(ngx_mesh_addr_t));

    (void) ngx_mesh_addr_parse((u_char *) address, ngx_strlen(address), &addr);
    addr.port = port;

    r = ngx_mesh_table_find(ngx_mesh.table, &addr);

    for (i = 0; i < count; i++) {
        answers[i] = driver_call(r, fits);
    }
}


/* the latest call failed */

void
driver_failed(void)
{
    ngx_mesh_directed_error(&driver_way);
}


ngx_uint_t
driver_errors(ngx_uint_t breaker)
{
    ngx_mesh_circuit_view_t  v;

    ngx_mesh_circuit_view(&ngx_mesh.table->breakers[breaker].guard, &v);

    return v.errors;
}


/* 0: it is closed */

ngx_msec_t
driver_closes(ngx_uint_t breaker)
{
    ngx_mesh_circuit_view_t  v;

    ngx_mesh_circuit_view(&ngx_mesh.table->breakers[breaker].guard, &v);

    return v.closes;
}
