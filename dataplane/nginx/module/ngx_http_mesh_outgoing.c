
/*
 * Where an outgoing request goes: the Service or pod that it calls, or the
 * original destination itself.
 */


#include "ngx_http_mesh.h"


/* the original destination, in plaintext, as an upstream of one */

ngx_int_t
ngx_http_mesh_single(ngx_http_mesh_ctx_t *ctx)
{
    if (ngx_mesh_single(&ctx->dst, &ctx->single, &ctx->one) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->upstream = &ctx->single;
    ctx->terms = &ctx->single;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_mesh_fits(ngx_mesh_split_t *split, void *data)
{
    ngx_http_mesh_ctx_t  *ctx = data;

    ngx_uint_t  i;

    for (i = 0; i < split->nmatches; i++) {
        if (ngx_http_mesh_match(ctx->request, split->matches[i]) == NGX_OK) {
            return 1;
        }
    }

    return 0;
}


/* by the splits of what was called, and by the circuits that guard it */

static ngx_int_t
ngx_http_mesh_direct(ngx_http_mesh_ctx_t *ctx, ngx_mesh_upstream_t *root)
{
    ctx->upstream = root;
    ctx->terms = root;

    if (root->splits == NULL && root->breaker == NULL) {
        return NGX_OK;
    }

    ctx->way = ngx_palloc(ctx->request->pool, sizeof(ngx_mesh_direction_t));
    if (ctx->way == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_direct(ctx->way, root, ngx_http_mesh_fits, ctx) != NGX_OK) {
        return ngx_http_mesh_refuse_by(ctx, "circuit_open", ctx->way->open,
                                       NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    ctx->upstream = ctx->way->upstream;

    if (ctx->upstream->request) {
        ctx->terms = ctx->upstream;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_outgoing(ngx_http_mesh_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_mesh_route_t    *route;
    ngx_http_request_t  *r;

    r = ctx->request;
    route = ngx_mesh_table_find(ctx->table, &ctx->dst);

    if (ctx->table->transparent) {

        /*
         * A connection from before: new ones pass unread.  Certificates may
         * be of another time, too, so the request goes on in plaintext, and
         * the application is told to connect anew.
         */

        ngx_http_mesh_last(r);

        if (ngx_http_mesh_single(ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

    } else if (route && route->upstream->protocol == ctx->protocol) {
        rc = ngx_http_mesh_direct(ctx, route->upstream);

        if (rc != NGX_OK) {
            return rc;
        }

    } else if (ctx->table->mode == NGX_MESH_STRICT
               && !ngx_mesh_addr_same_host(&ctx->dst, r->connection->sockaddr))
    {
        return ngx_http_mesh_refuse(ctx, "unknown_destination",
                                    NGX_HTTP_FORBIDDEN);

    } else if (ngx_http_mesh_single(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->upstream->nendpoints == 0) {

        if (ctx->way) {
            ngx_mesh_directed_error(ctx->way);
        }

        return ngx_http_mesh_refuse(ctx, "no_endpoint",
                                    NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    if (ngx_http_mesh_choose(ctx) != NGX_OK) {
        return ngx_http_mesh_refuse(ctx, "plaintext_endpoint",
                                    NGX_HTTP_FORBIDDEN);
    }

    if (ctx->endpoint->peer->identity.len
        && (ngx_mesh.svid == NULL || ngx_mesh.bundle == NULL)
        && !ngx_http_mesh_is_own_pod(ctx, ctx->endpoint))
    {
        return ngx_http_mesh_refuse(ctx, "no_svid",
                                    NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    return ngx_http_mesh_request_begin(ctx);
}
