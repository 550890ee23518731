
/*
 * Looking up destinations in a table, and a table's life: parsed, linked to
 * the worker's peers, held by requests, released.
 */


#include "ngx_mesh_table.h"
#include "ngx_mesh_peer.h"
#include "ngx_mesh_split.h"


static ngx_uint_t
ngx_mesh_table_slot(ngx_mesh_table_t *t, ngx_mesh_addr_t *addr)
{
    uint32_t           n;
    ngx_uint_t         i;

    i = ngx_murmur_hash2((u_char *) addr, sizeof(ngx_mesh_addr_t)) & t->mask;

    for ( ;; ) {
        n = t->index[i];

        if (n == 0
            || ngx_memcmp(&t->routes[n - 1].addr, addr,
                          sizeof(ngx_mesh_addr_t))
               == 0)
        {
            return i;
        }

        i = (i + 1) & t->mask;
    }
}


/* room for n routes, at most half full */

ngx_int_t
ngx_mesh_table_index(ngx_mesh_table_t *t, ngx_uint_t n)
{
    ngx_uint_t  size;

    for (size = 8; size < 2 * n; size *= 2) { /* void */ }

    t->index = ngx_pcalloc(t->pool, size * sizeof(uint32_t));
    if (t->index == NULL) {
        return NGX_ERROR;
    }

    t->mask = size - 1;

    return NGX_OK;
}


/* NGX_DECLINED: the place of route n is taken */

ngx_int_t
ngx_mesh_table_insert(ngx_mesh_table_t *t, ngx_uint_t n)
{
    ngx_uint_t  i;

    i = ngx_mesh_table_slot(t, &t->routes[n].addr);

    if (t->index[i]) {
        return NGX_DECLINED;
    }

    t->index[i] = n + 1;

    return NGX_OK;
}


ngx_mesh_route_t *
ngx_mesh_table_find(ngx_mesh_table_t *t, ngx_mesh_addr_t *addr)
{
    uint32_t  n;

    n = t->index[ngx_mesh_table_slot(t, addr)];

    return n ? &t->routes[n - 1] : NULL;
}


/* give every endpoint its peer; the peers of this table become the current */

ngx_int_t
ngx_mesh_table_link(ngx_mesh_table_t *t)
{
    ngx_str_t             none = ngx_null_string;
    ngx_str_t            *identity;
    ngx_uint_t            i;
    ngx_mesh_peer_t      *peer;
    ngx_mesh_endpoint_t  *e;

    for (i = 0; i < t->nendpoints; i++) {
        e = &t->endpoints[i];

        identity = (t->mode == NGX_MESH_OFF) ? &none : &e->identity;

        e->peer = ngx_mesh_peer_hold(&e->addr, identity);
        if (e->peer == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_mesh.mark++;

    for (i = 0; i < t->nendpoints; i++) {
        peer = t->endpoints[i].peer;

        /* more than one endpoint may have it */

        if (peer->mark != ngx_mesh.mark && peer->mark != ngx_mesh.mark - 1) {
            peer->came = ngx_mesh.mark;
        }

        peer->mark = ngx_mesh.mark;
    }

    ngx_mesh_split_link(t);
    ngx_mesh_circuits_link(t);

    for (i = 0; i < t->nupstreams; i++) {
        if (t->upstreams[i].nendpoints) {
            t->upstreams[i].next = (ngx_uint_t) ngx_random()
                                   % t->upstreams[i].nendpoints;
        }
    }

    return NGX_OK;
}


void
ngx_mesh_table_unlink(ngx_mesh_table_t *t)
{
    ngx_uint_t  i;

    for (i = 0; i < t->nendpoints; i++) {
        if (t->endpoints[i].peer) {
            ngx_mesh_peer_release(t->endpoints[i].peer);
        }
    }
}


void
ngx_mesh_table_release(ngx_mesh_table_t *t)
{
    if (--t->refs) {
        return;
    }

    ngx_mesh_table_unlink(t);
    ngx_destroy_pool(t->pool);
}
