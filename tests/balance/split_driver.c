
/*
 * Splits and circuits without a worker around them: a table of a document,
 * calls of one of its Services, and a clock that the test turns.
 */


#include "driver.h"


static ngx_mesh_direction_t  driver_way;


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
