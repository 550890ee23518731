
/*
 * Counting a request when it ends (names: docs/reference/metrics.md).
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


static ngx_mesh_slot_t *
ngx_http_mesh_series(ngx_http_mesh_ctx_t *ctx)
{
    ngx_mesh_slot_t      *slot;
    ngx_mesh_endpoint_t  *e;

    e = ctx->endpoint;

    /* that of incoming requests is made for each: the peer remembers */

    if (ctx->direction == NGX_MESH_INCOMING) {
        e->counter_slot = e->peer->counter_slot;
        e->counter_hash = e->peer->counter_hash;
        e->histogram = e->peer->histogram;
    }

    slot = ngx_mesh_slot_cached(e->counter_slot, e->counter_hash);
    if (slot) {
        return slot;
    }

    slot = ngx_mesh_series(ctx->direction == NGX_MESH_OUTGOING
                           ? NGX_MESH_FAMILY_OUTGOING
                           : NGX_MESH_FAMILY_INCOMING,
                           ctx->direction,
                           ctx->upstream == &ctx->single ? NULL
                                                         : ctx->upstream,
                           e);

    if (slot) {
        e->counter_slot = ngx_mesh_slot_number(slot);
        e->counter_hash = slot->hash;
    }

    return slot;
}


/* from the connection to the last byte of the last attempt's answer */

static void
ngx_http_mesh_count_time(ngx_http_mesh_ctx_t *ctx, ngx_mesh_slot_t *slot,
    ngx_uint_t status)
{
    ngx_msec_t                  ms;
    ngx_http_upstream_state_t  *state;

    if (status < 100 || status > 599) {
        return;
    }

    state = ctx->request->upstream->state;

    if (state == NULL || state->response_time == (ngx_msec_t) -1) {
        return;
    }

    ms = state->response_time;

    if (state->connect_time != (ngx_msec_t) -1 && state->connect_time <= ms) {
        ms -= state->connect_time;
    }

    ngx_mesh_histogram_add(slot, status, ms, &ctx->endpoint->histogram);
}


static void
ngx_http_mesh_series_keep(ngx_http_mesh_ctx_t *ctx)
{
    ngx_mesh_endpoint_t  *e;

    e = ctx->endpoint;

    if (ctx->direction == NGX_MESH_INCOMING) {
        e->peer->counter_slot = e->counter_slot;
        e->peer->counter_hash = e->counter_hash;
        e->peer->histogram = e->histogram;
    }
}


static void
ngx_http_mesh_count_call(ngx_http_mesh_ctx_t *ctx)
{
    ngx_uint_t           status, class;
    ngx_mesh_slot_t     *slot;
    ngx_http_request_t  *r;

    r = ctx->request;

    slot = ngx_http_mesh_series(ctx);
    if (slot == NULL) {
        return;
    }

    (void) ngx_atomic_fetch_add(&slot->values[NGX_MESH_VALUE_REQUESTS], 1);

    status = r->err_status ? r->err_status : r->headers_out.status;
    class = status / 100;

    if (class >= 1 && class <= 5) {
        (void) ngx_atomic_fetch_add(&slot->values[NGX_MESH_VALUE_CLASS
                                                  + class], 1);
    }

    ngx_http_mesh_count_time(ctx, slot, status);
    ngx_http_mesh_series_keep(ctx);
}


ngx_int_t
ngx_http_mesh_log_handler(ngx_http_request_t *r)
{
    ngx_http_mesh_ctx_t       *ctx;
    ngx_http_mesh_loc_conf_t  *conf;

    if (r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_mesh_ctx(r);

    if (ctx) {
        (void) ngx_atomic_fetch_add(
                              &ngx_mesh.counters->requests[ctx->direction], 1);

        if (ctx->upstream && ctx->endpoint && r->upstream) {
            ngx_http_mesh_count_call(ctx);
        }

        if (ctx->way) {
            ngx_http_mesh_circuit_ended(ctx);
        }

        if (ctx->conf || ctx->timedout) {
            ngx_http_mesh_retry_ended(ctx);
        }

        if (ctx->cut == NULL) {
            ngx_http_mesh_h2_ended(r);
        }

        return NGX_OK;
    }

    /* refused before any handler saw it: plaintext where TLS is due */

    conf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_module);

    if (conf->role == NGX_HTTP_MESH_INCOMING
        && ngx_http_mesh_records_peer(r->connection) == NULL)
    {
        (void) ngx_atomic_fetch_add(
                        &ngx_mesh.counters->requests[NGX_MESH_INCOMING], 1);
        ngx_mesh_count_refusal(NGX_MESH_INCOMING, "plaintext");
    }

    return NGX_OK;
}
