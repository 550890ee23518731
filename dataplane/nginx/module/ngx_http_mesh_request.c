
/*
 * The time that a whole request may take, with all its attempts, and the
 * body of one that may be tried again: kept, if it is small.
 */


#include "ngx_http_mesh.h"


static void ngx_http_mesh_request_timeout(ngx_event_t *ev);
static void ngx_http_mesh_request_body(ngx_http_request_t *r);


static ngx_int_t
ngx_http_mesh_request_timer(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ctx->timer = ngx_pcalloc(r->pool, sizeof(ngx_event_t));
    if (ctx->timer == NULL) {
        return NGX_ERROR;
    }

    ctx->timer->handler = ngx_http_mesh_request_timeout;
    ctx->timer->data = ctx;
    ctx->timer->log = r->connection->log;

    ngx_add_timer(ctx->timer, ctx->terms->timeout);

    return NGX_OK;
}


void
ngx_http_mesh_request_end(ngx_http_mesh_ctx_t *ctx)
{
    if (ctx->timer && ctx->timer->timer_set) {
        ngx_del_timer(ctx->timer);
    }
}


/*
 * The attempt under way ends as if nginx's own time-out had passed, and is
 * made to look like the last.  An upgraded connection is no request any more.
 */

static void
ngx_http_mesh_request_timeout(ngx_event_t *ev)
{
    ngx_http_mesh_ctx_t  *ctx = ev->data;

    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;
    c = r->connection;

    if (u && (u->upgrade || u->cleanup == NULL)) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    ctx->timedout = 1;

    ngx_log_error(NGX_LOG_INFO, c->log, 0, "mesh: request timed out after "
                  "%M ms", ctx->terms->timeout);

    if (u == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_GATEWAY_TIME_OUT);

    } else if (u->peer.connection) {
        u->peer.tries = 0;
        u->peer.connection->read->timedout = 1;
        u->read_event_handler(r, u);
    }

    ngx_http_run_posted_requests(c);
}


static ngx_uint_t
ngx_http_mesh_request_keeps_body(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;

    if (ctx->terms->retries == 0 || r->headers_in.content_length_n <= 0
        || (!ctx->terms->retry_any
            && (r->method & (NGX_HTTP_POST|NGX_HTTP_LOCK|NGX_HTTP_PATCH))))
    {
        return 0;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return r->headers_in.content_length_n
           <= (off_t) clcf->client_body_buffer_size;
}


/* NGX_DECLINED: go on; else the phases go on when the body is there */

ngx_int_t
ngx_http_mesh_request_begin(ngx_http_mesh_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->terms->timeout && ngx_http_mesh_request_timer(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_mesh_request_keeps_body(ctx)) {
        return NGX_DECLINED;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_mesh_request_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static void
ngx_http_mesh_request_body(ngx_http_request_t *r)
{
    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(r);
}
