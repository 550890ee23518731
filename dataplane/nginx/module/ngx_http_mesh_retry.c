
/*
 * Attempts that failed: what that says of the endpoint, and whether the
 * request is tried again (the line "request" of docs/reference/nginx-state.md).
 * What has begun to be streamed to an endpoint is never sent to another.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


#define NGX_HTTP_MESH_RETRY_ANSWERS                                           \
    (NGX_HTTP_UPSTREAM_FT_HTTP_502|NGX_HTTP_UPSTREAM_FT_HTTP_503              \
     |NGX_HTTP_UPSTREAM_FT_HTTP_504)

#define NGX_HTTP_MESH_RETRY_ERRORS                                            \
    (NGX_HTTP_UPSTREAM_FT_ERROR|NGX_HTTP_UPSTREAM_FT_TIMEOUT                  \
     |NGX_HTTP_UPSTREAM_FT_INVALID_HEADER)


/* nginx reads from its configuration what is tried again: ours is a copy */

ngx_int_t
ngx_http_mesh_retry_init(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    if (ctx->terms->retries == 0) {
        return NGX_OK;
    }

    ctx->conf = ngx_palloc(ctx->request->pool,
                           sizeof(ngx_http_upstream_conf_t));
    if (ctx->conf == NULL) {
        return NGX_ERROR;
    }

    *ctx->conf = *u->conf;

    ctx->conf->next_upstream |= NGX_HTTP_MESH_RETRY_ERRORS
                                |NGX_HTTP_MESH_RETRY_ANSWERS;
    ctx->conf->next_upstream_timeout = 0;

    if (ctx->terms->retry_any) {
        ctx->conf->next_upstream |= NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;
    }

    u->conf = ctx->conf;
    u->peer.tries = ngx_max(u->peer.tries, ctx->terms->retries + 1);
    ctx->retries = ctx->terms->retries;

    return NGX_OK;
}


/* a pooled connection that died says nothing of the endpoint */

ngx_uint_t
ngx_http_mesh_retry_is_pool_death(ngx_peer_connection_t *pc)
{
    ngx_connection_t     *c;
    ngx_http_mesh_ctx_t  *ctx;

    c = pc->connection;
    ctx = pc->data;

    return (pc->cached || ctx->unused)
           && (c == NULL || c->error || c->read->eof || c->read->error
               || c->write->error);
}


static ngx_uint_t
ngx_http_mesh_retry_is_idempotent(ngx_http_request_t *r)
{
    return !(r->method & (NGX_HTTP_POST|NGX_HTTP_LOCK|NGX_HTTP_PATCH));
}


static ngx_uint_t
ngx_http_mesh_retry_is_streamed(ngx_http_request_t *r)
{
    return r->upstream->request_sent && r->request_body_no_buffering;
}


/* of an attempt; nginx decides after this by "tries" and the configuration */

void
ngx_http_mesh_retry_failed(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;

    /* slow, or an answer: somebody is there */

    if (ctx->timedout) {
        ngx_mesh_average_add(&ctx->peer->header,
                             ngx_current_msec - ctx->started);
        ngx_mesh_average_add(&ctx->peer->last_byte,
                             ngx_current_msec - ctx->started);

    } else if (u->headers_in.status_n == 0) {
        ngx_mesh_peer_fail(ctx->peer);
    }

    if (ctx->ntried < NGX_HTTP_MESH_ATTEMPTS) {
        ctx->tried[ctx->ntried++] = ctx->endpoint;
    }

    if (ctx->conf == NULL || !u->request_sent
        || ngx_http_mesh_retry_is_streamed(r))
    {
        return;
    }

    if (ctx->retries == 0) {
        u->peer.tries = 0;
        return;
    }

    if (!ctx->terms->retry_any && !ngx_http_mesh_retry_is_idempotent(r)) {
        return;
    }

    ctx->retried++;
    ctx->retries--;
}


/* whatever answers from here on, that is the answer */

void
ngx_http_mesh_retry_no_answer(ngx_http_mesh_ctx_t *ctx)
{
    if (ctx->conf) {
        ctx->conf->next_upstream &= ~NGX_HTTP_MESH_RETRY_ANSWERS;
    }
}


/* the endpoint of an attempt that is not the first */

ngx_int_t
ngx_http_mesh_retry_choose(ngx_http_mesh_ctx_t *ctx)
{
    /* the answer of the last attempt is the answer */

    if (ctx->retries == 0) {
        ngx_http_mesh_retry_no_answer(ctx);
    }

    if (ngx_http_mesh_choose(ctx) == NGX_OK) {
        return NGX_OK;
    }

    if (ctx->conf == NULL || ctx->ntried == 0) {
        return NGX_DECLINED;
    }

    /* every endpoint was tried, and there are attempts left */

    ctx->ntried = 0;

    return ngx_http_mesh_choose(ctx);
}


static void
ngx_http_mesh_retry_count(ngx_http_mesh_ctx_t *ctx, ngx_mesh_family_e family,
    const char *result, ngx_uint_t n)
{
    u_char                buf[NGX_MESH_LABELS_MAX + 1], *p, *last;
    ngx_str_t             labels;
    ngx_mesh_slot_t      *slot;
    ngx_mesh_upstream_t  *u;

    u = ctx->upstream;
    last = buf + sizeof(buf);

    p = ngx_slprintf(buf, last, "upstream=\"%V:%ui\"", &u->name,
                     (ngx_uint_t) u->port);

    if (result) {
        p = ngx_slprintf(p, last, ",result=\"%s\"", result);
    }

    labels.data = buf;
    labels.len = p - buf;

    slot = ngx_mesh_slot(family, &labels);

    if (slot) {
        (void) ngx_atomic_fetch_add(&slot->values[0], n);
    }
}


static const char *
ngx_http_mesh_retry_missed(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (!ctx->terms->retry_any && !ngx_http_mesh_retry_is_idempotent(r)) {
        return "not_idempotent";
    }

    return ngx_http_mesh_retry_is_streamed(r) ? "not_replayable"
                                              : "exhausted";
}


/* when the request ends: what was tried again, and what failed all the same */

void
ngx_http_mesh_retry_ended(ngx_http_mesh_ctx_t *ctx)
{
    const char           *missed;
    ngx_uint_t            status;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;

    if (ctx->timedout) {
        ngx_http_mesh_retry_count(ctx, NGX_MESH_FAMILY_TIMEOUTS, NULL, 1);
    }

    if (ctx->conf == NULL) {
        return;
    }

    if (ctx->retried) {
        ngx_http_mesh_retry_count(ctx, NGX_MESH_FAMILY_RETRIES, "sent",
                                  ctx->retried);
    }

    status = r->err_status ? r->err_status : r->headers_out.status;

    if (ctx->timedout || u->state == NULL
        || (status != NGX_HTTP_BAD_GATEWAY
            && status != NGX_HTTP_SERVICE_UNAVAILABLE
            && status != NGX_HTTP_GATEWAY_TIME_OUT)
        || ngx_http_mesh_told(ctx))
    {
        return;
    }

    missed = ngx_http_mesh_retry_missed(ctx);

    ngx_http_mesh_retry_count(ctx, NGX_MESH_FAMILY_RETRIES, missed, 1);

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "mesh: failed request is not tried again: %s", missed);
}
