
/*
 * For whom connections are made before a request asks for them: endpoints
 * that a table brings to a Service, if that is called now.  As many as each
 * endpoint before had, in use or pooled.
 */


#include "ngx_http_mesh.h"


/* connections per endpoint of what is called now, rounded up */

static ngx_uint_t
ngx_http_mesh_warm_demand(ngx_mesh_upstream_t *u)
{
    ngx_uint_t        i, n;
    ngx_mesh_peer_t  *peer;

    n = 0;

    for (i = 0; i < u->nendpoints; i++) {
        peer = u->endpoints[i].peer;
        n += peer->active + ngx_http_mesh_pool_count(peer, u->protocol);
    }

    return n ? (n + u->nendpoints - 1) / u->nendpoints : 0;
}


static void
ngx_http_mesh_warm_upstream(ngx_mesh_upstream_t *u, ngx_mesh_upstream_t *old)
{
    ngx_uint_t        i, n, kept;
    ngx_mesh_peer_t  *peer;

    for (i = 0; i < u->nendpoints; i++) {
        if (u->endpoints[i].peer->came == ngx_mesh.mark) {
            break;
        }
    }

    if (i == u->nendpoints) {
        return;
    }

    n = ngx_http_mesh_warm_demand(old);

    for ( /* void */ ; i < u->nendpoints; i++) {
        peer = u->endpoints[i].peer;

        if (peer->came == ngx_mesh.mark) {
            kept = ngx_http_mesh_pool_count(peer, u->protocol);
            ngx_http_mesh_warm(peer, u->protocol, n > kept ? n - kept : 0,
                               kept == 0);
        }
    }
}


/* a table has come; what was before it, "old", is still there */

void
ngx_http_mesh_warm_table(ngx_mesh_table_t *t, ngx_mesh_table_t *old)
{
    ngx_uint_t            i;
    ngx_mesh_route_t     *before;
    ngx_mesh_upstream_t  *u;

    if (t->transparent) {
        return;
    }

    for (i = 0; i < t->nroutes; i++) {
        u = t->routes[i].upstream;

        if (u->pod || u->nendpoints == 0
            || (u->protocol != NGX_MESH_HTTP && u->protocol != NGX_MESH_GRPC))
        {
            continue;
        }

        before = ngx_mesh_table_find(old, &t->routes[i].addr);

        if (before && before->upstream->protocol == u->protocol) {
            ngx_http_mesh_warm_upstream(u, before->upstream);
        }
    }
}
