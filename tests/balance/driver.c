
/*
 * The balancer without a worker around it: one upstream of a document, its
 * peers, and a clock that the test turns.  The calls that begin and end a
 * request note what ngx_http_mesh_balancer.c notes.
 */


#include "driver.h"


static ngx_mesh_upstream_t *
driver_upstream(void)
{
    return &ngx_mesh.table->upstreams[0];
}


void
driver_active(ngx_uint_t i, ngx_uint_t requests)
{
    ngx_mesh_peer_t  *peer;

    peer = driver_upstream()->endpoints[i].peer;
    peer->started = requests * ngx_current_msec;
    peer->active = requests;
}


void
driver_measured(ngx_uint_t i, ngx_msec_t header, ngx_msec_t last_byte)
{
    ngx_mesh_peer_t  *peer;

    peer = driver_upstream()->endpoints[i].peer;
    ngx_mesh_average_add(&peer->header, header);
    ngx_mesh_average_add(&peer->last_byte, last_byte);
}


void
driver_fail(ngx_uint_t i)
{
    ngx_mesh_peer_fail(driver_upstream()->endpoints[i].peer);
}


void
driver_warm(ngx_uint_t i, ngx_msec_t within)
{
    ngx_mesh_peer_warm(driver_upstream()->endpoints[i].peer, within);
}


static ngx_uint_t
driver_usable(ngx_mesh_endpoint_t *endpoint, void *data)
{
    u_char  *usable = data;

    return usable[endpoint - driver_upstream()->endpoints];
}


/* the endpoints of so many picks, by number; -1: none is usable */

void
driver_picks(u_char *usable, ngx_int_t *picks, ngx_uint_t count)
{
    ngx_uint_t            i;
    ngx_mesh_endpoint_t  *e;

    for (i = 0; i < count; i++) {
        e = ngx_mesh_balance(driver_upstream(), driver_usable, usable);
        picks[i] = e ? e - driver_upstream()->endpoints : -1;
    }
}


void
driver_begin(ngx_uint_t i)
{
    ngx_mesh_peer_begin(driver_upstream()->endpoints[i].peer);
}


/* a request that began "header" ms before its header and so on */

void
driver_end(ngx_uint_t i, ngx_msec_t header, ngx_msec_t last_byte)
{
    ngx_mesh_peer_end(driver_upstream()->endpoints[i].peer,
                      ngx_current_msec - last_byte);
    driver_measured(i, header, last_byte);
}
