
/*
 * Where an outgoing request goes: the Service or pod that it calls, or the
 * original destination itself.
 */


#include "ngx_http_mesh.h"


/* the original destination, in plaintext, as an upstream of one */

ngx_int_t
ngx_http_mesh_single(ngx_http_mesh_ctx_t *ctx)
{
    ngx_str_t  none = ngx_null_string;

    ctx->one.addr = ctx->dst;
    ctx->one.peer = ngx_mesh_peer_hold(&ctx->dst, &none);

    if (ctx->one.peer == NULL) {
        return NGX_ERROR;
    }

    ctx->single.port = ctx->dst.port;
    ctx->single.endpoints = &ctx->one;
    ctx->single.nendpoints = 1;

    ctx->upstream = &ctx->single;

    return NGX_OK;
}


ngx_int_t
ngx_http_mesh_outgoing(ngx_http_mesh_ctx_t *ctx)
{
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
        ctx->upstream = route->upstream;

    } else if (ctx->table->mode == NGX_MESH_STRICT
               && !ngx_mesh_addr_same_host(&ctx->dst, r->connection->sockaddr))
    {
        return ngx_http_mesh_refuse(ctx, "unknown_destination",
                                    NGX_HTTP_FORBIDDEN);

    } else if (ngx_http_mesh_single(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->upstream->nendpoints == 0) {
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
