
/*
 * The endpoint of an outgoing connection.  Whether it is spoken to by mutual
 * TLS decides which listener gets the connection, so the first one is chosen
 * before it is handed over; the next attempts stay with endpoints of that
 * kind.
 */


#include "ngx_stream_mesh.h"


/* a pod that calls a Service of its own may meet itself */

static ngx_uint_t
ngx_stream_mesh_is_own_pod(ngx_stream_mesh_ctx_t *ctx,
    ngx_mesh_endpoint_t *endpoint)
{
    return ctx->direction == NGX_MESH_OUTGOING
           && ngx_mesh_addr_same_host(&endpoint->addr,
                                      ctx->connection->sockaddr);
}


static ngx_uint_t
ngx_stream_mesh_by_tls(ngx_stream_mesh_ctx_t *ctx,
    ngx_mesh_endpoint_t *endpoint)
{
    return endpoint->peer->identity.len
           && !ngx_stream_mesh_is_own_pod(ctx, endpoint);
}


static ngx_uint_t
ngx_stream_mesh_usable(ngx_mesh_endpoint_t *endpoint, void *data)
{
    ngx_stream_mesh_ctx_t  *ctx = data;

    if (ngx_mesh_is_tried(ctx->tried, ctx->ntried, endpoint)) {
        return 0;
    }

    /* the original destination: whoever judged the connection allowed it */

    if (endpoint == &ctx->one) {
        return 1;
    }

    if (ctx->ntried && ctx->tls != ngx_stream_mesh_by_tls(ctx, endpoint)) {
        return 0;
    }

    return ctx->table->mode != NGX_MESH_STRICT
           || endpoint->identity.len
           || ngx_stream_mesh_is_own_pod(ctx, endpoint);
}


/* the endpoint of the next attempt; NGX_DECLINED: none that may be used */

ngx_int_t
ngx_stream_mesh_choose(ngx_stream_mesh_ctx_t *ctx)
{
    ctx->endpoint = ngx_mesh_balance(ctx->upstream, ngx_stream_mesh_usable,
                                     ctx);
    ctx->chosen = 1;

    if (ctx->endpoint == NULL) {
        return NGX_DECLINED;
    }

    ctx->tls = ngx_stream_mesh_by_tls(ctx, ctx->endpoint);

    return NGX_OK;
}


/* the original destination, in plaintext, as an upstream of one */

ngx_int_t
ngx_stream_mesh_single(ngx_stream_mesh_ctx_t *ctx)
{
    if (ngx_mesh_single(&ctx->dst, &ctx->single, &ctx->one) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->upstream = &ctx->single;

    return NGX_OK;
}


/* by the splits of what was called, and by the circuits that guard it */

static ngx_int_t
ngx_stream_mesh_direct(ngx_stream_mesh_ctx_t *ctx, ngx_mesh_upstream_t *root)
{
    ctx->upstream = root;

    if (root->splits == NULL && root->breaker == NULL) {
        return NGX_OK;
    }

    ctx->way = ngx_palloc(ctx->connection->pool,
                          sizeof(ngx_mesh_direction_t));
    if (ctx->way == NULL) {
        return NGX_OK;
    }

    if (ngx_mesh_direct(ctx->way, root, NULL, NULL) != NGX_OK) {
        return NGX_DECLINED;
    }

    ctx->upstream = ctx->way->upstream;

    return NGX_OK;
}


static const char *
ngx_stream_mesh_refusal(ngx_stream_mesh_ctx_t *ctx)
{
    if (ctx->verdict.upstream == NULL) {

        if (ngx_stream_mesh_single(ctx) != NGX_OK) {
            return "no_endpoint";
        }

    } else if (ngx_stream_mesh_direct(ctx, ctx->verdict.upstream) != NGX_OK) {
        return "circuit_open";
    }

    if (ctx->upstream->nendpoints == 0) {
        ngx_stream_mesh_failed(ctx);
        return "no_endpoint";
    }

    if (ngx_stream_mesh_choose(ctx) != NGX_OK) {
        return "plaintext_endpoint";
    }

    if (ctx->tls && (ngx_mesh.svid == NULL || ngx_mesh.bundle == NULL)) {
        return "no_svid";
    }

    return NULL;
}


/* no endpoint took the connection, or the one that did served nobody */

void
ngx_stream_mesh_failed(ngx_stream_mesh_ctx_t *ctx)
{
    if (ctx->way) {
        ngx_mesh_directed_error(ctx->way);
    }
}


void
ngx_stream_mesh_choose_outgoing(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_mesh_verdict_t  *v;

    v = &ctx->verdict;
    v->reason = ngx_stream_mesh_refusal(ctx);

    if (v->reason) {
        v->target = NGX_MESH_TO_ERROR_OUTGOING;

    } else if (!ctx->tls) {
        v->target = NGX_MESH_TO_TCP_PLAINTEXT;
    }
}


/* the peer of the chosen endpoint */

ngx_mesh_peer_t *
ngx_stream_mesh_hold_peer(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_mesh_peer_t  *peer;

    peer = ngx_mesh_peer_of(ctx->endpoint, !ctx->tls);
    if (peer == NULL) {
        return NULL;
    }

    /* until the connection ends: nginx keeps pointers to the peer's name */

    ctx->held[ctx->nheld++] = peer;

    return peer;
}
