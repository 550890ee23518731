
/*
 * Rate limits of incoming requests (contract 7.limits): whom one names, when
 * it holds, and waiting for the time that a request is let in.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


/* how soon a request that waits sees that its pod is to end */
#define NGX_HTTP_MESH_LIMIT_LOOK  1000


static void ngx_http_mesh_limit_waited(ngx_http_request_t *r);


/* the limits for the caller; none for a pod that a limit names elsewhere */

static ngx_mesh_limited_t *
ngx_http_mesh_limit_caller(ngx_http_mesh_ctx_t *ctx)
{
    ngx_str_t            nobody = ngx_null_string;
    SSL                 *ssl;
    ngx_uint_t           i;
    ngx_mesh_tls_t      *tls;
    ngx_connection_t    *c;
    ngx_mesh_limits_t   *ls;
    ngx_mesh_limited_t  *caller;

    c = ctx->request->connection;
    ls = &ctx->table->limits;

    if (ctx->role == NGX_HTTP_MESH_INCOMING) {
        tls = ngx_http_mesh_records_peer(c);
        ssl = c->ssl ? c->ssl->connection : NULL;

        if (tls && ngx_mesh_tls_names(tls, ssl) == NGX_OK) {
            for (i = 0; i < tls->nnames; i++) {
                caller = ngx_mesh_limits_find(ls, &tls->names[i]);

                if (caller) {
                    return caller;
                }
            }
        }
    }

    return ngx_mesh_limits_find(ls, &nobody);
}


/* a search that was given up must not be a way around the limit */

static ngx_uint_t
ngx_http_mesh_limit_fits(ngx_http_mesh_ctx_t *ctx, ngx_mesh_limit_t *limit)
{
    ngx_uint_t           i;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (!ngx_mesh_limit_holds_for_port(limit, ctx->dst.port)) {
        return 0;
    }

    for (i = 0; i < limit->nmatches; i++) {

        /* what was judged is what goes on */

        if (limit->matches[i]->path) {
            r->valid_unparsed_uri = 0;
        }

        if (ngx_http_mesh_match(r, limit->matches[i]) != NGX_DECLINED) {
            return 1;
        }
    }

    return limit->nmatches == 0;
}


/* when trying again makes sense, in whole seconds */

static void
ngx_http_mesh_limit_tell(ngx_http_request_t *r, ngx_msec_t wait)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    h = ngx_list_push(&r->headers_out.headers);

    if (h == NULL) {
        return;
    }

    h->hash = 0;
    h->next = NULL;
    ngx_str_set(&h->key, "Retry-After");

    if (p) {
        h->hash = 1;
        h->value.data = p;
        h->value.len = ngx_sprintf(p, "%M", (wait + 999) / 1000) - p;
    }
}


/* as ngx_http_limit_req_module does; a caller that goes away is noticed */

static ngx_int_t
ngx_http_mesh_limit_wait(ngx_http_mesh_ctx_t *ctx, ngx_msec_t wait)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->waits = ngx_current_msec + wait;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_mesh_limit_waited;

    c->write->delayed = 1;
    ngx_add_timer(c->write, ngx_min(wait, NGX_HTTP_MESH_LIMIT_LOOK));

    return NGX_AGAIN;
}


/* a pod that ends holds nobody back: what is in flight is to end first */

static void
ngx_http_mesh_limit_waited(ngx_http_request_t *r)
{
    ngx_event_t          *wev;
    ngx_msec_int_t        left;
    ngx_http_mesh_ctx_t  *ctx;

    wev = r->connection->write;

    if (wev->delayed) {

        if (ngx_handle_write_event(wev, 0) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        }

        return;
    }

    ctx = ngx_http_mesh_ctx(r);
    left = ctx->waits - ngx_current_msec;

    if (left > 0 && !ngx_mesh_draining()) {
        wev->delayed = 1;
        ngx_add_timer(wev, ngx_min(left, NGX_HTTP_MESH_LIMIT_LOOK));
        return;
    }

    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


/* NGX_DECLINED: it goes on; NGX_AGAIN: in a while, by itself */

ngx_int_t
ngx_http_mesh_limit(ngx_http_mesh_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_msec_t           wait;
    ngx_mesh_limited_t  *caller;

    if (ctx->table->limits.nlimits == 0 || ctx->table->transparent) {
        return NGX_DECLINED;
    }

    for (caller = ngx_http_mesh_limit_caller(ctx);
         caller && !ngx_http_mesh_limit_fits(ctx, caller->limit);
         caller = caller->next)
    {
        /* void */
    }

    if (caller == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_mesh_bucket_take(caller, ngx_current_msec, &wait);

    if (rc == NGX_BUSY) {
        ngx_http_mesh_limit_tell(ctx->request, wait);
        return ngx_http_mesh_refuse_by(ctx, "rate_limited",
                                       caller->limit->policy,
                                       caller->limit->status);
    }

    if (rc == NGX_OK && wait && !ngx_mesh_draining()) {
        return ngx_http_mesh_limit_wait(ctx, wait);
    }

    return NGX_DECLINED;
}
