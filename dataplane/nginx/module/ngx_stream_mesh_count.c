
/*
 * Counting relayed connections (names: docs/reference/metrics.md).  Bytes of
 * a connection that lasts are added every few seconds, and when somebody
 * asks this worker.
 */


#include "ngx_stream_mesh.h"


#define NGX_STREAM_MESH_COUNT_MSEC  5000


static void ngx_stream_mesh_count_handler(ngx_event_t *ev);
static void ngx_stream_mesh_count_all(void);


ngx_queue_t         ngx_stream_mesh_connected;
static ngx_event_t  ngx_stream_mesh_timer;


void
ngx_stream_mesh_count_init(void)
{
    /* at debug nginx prints the descriptor of a timer's connection */

    static ngx_connection_t  dummy;

    ngx_queue_init(&ngx_stream_mesh_connected);

    dummy.fd = (ngx_socket_t) -1;

    ngx_stream_mesh_timer.data = &dummy;
    ngx_stream_mesh_timer.handler = ngx_stream_mesh_count_handler;
    ngx_stream_mesh_timer.log = ngx_cycle->log;
    ngx_stream_mesh_timer.cancelable = 1;

    ngx_mesh.count = ngx_stream_mesh_count_all;
}


static void
ngx_stream_mesh_add(ngx_stream_mesh_ctx_t *ctx, ngx_mesh_tcp_value_e value,
    off_t n)
{
    ngx_mesh_slot_t  *slot;

    slot = ngx_mesh_slot_cached(ctx->slot, ctx->slot_hash);

    if (slot) {
        (void) ngx_atomic_fetch_add(&slot->values[value], n);
    }
}


static void
ngx_stream_mesh_count_bytes(ngx_stream_mesh_ctx_t *ctx)
{
    off_t                   sent;
    ngx_stream_upstream_t  *u;

    u = ctx->session->upstream;
    sent = u->peer.connection ? u->peer.connection->sent : ctx->sent;

    if (sent != ctx->sent) {
        ngx_stream_mesh_add(ctx, NGX_MESH_TCP_SENT, sent - ctx->sent);
        ctx->sent = sent;
    }

    if (u->received != ctx->received) {
        ngx_stream_mesh_add(ctx, NGX_MESH_TCP_RECEIVED,
                            u->received - ctx->received);
        ctx->received = u->received;
    }
}


static void
ngx_stream_mesh_count_all(void)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&ngx_stream_mesh_connected);
         q != ngx_queue_sentinel(&ngx_stream_mesh_connected);
         q = ngx_queue_next(q))
    {
        ngx_stream_mesh_count_bytes(ngx_queue_data(q, ngx_stream_mesh_ctx_t,
                                                   queue));
    }
}


static void
ngx_stream_mesh_count_handler(ngx_event_t *ev)
{
    /* a worker without new connections learns here what others were told */

    ngx_mesh_refresh(ev->log);
    ngx_stream_mesh_count_all();

    if (!ngx_queue_empty(&ngx_stream_mesh_connected)) {
        ngx_add_timer(ev, NGX_STREAM_MESH_COUNT_MSEC);
    }
}


/* slots are remembered by the endpoints of tables, and by connections */

static void
ngx_stream_mesh_find_slot(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_mesh_slot_t      *slot;
    ngx_mesh_endpoint_t  *e;

    e = ctx->endpoint;

    if (ngx_mesh_slot_cached(e->counter_slot, e->counter_hash) == NULL) {

        slot = ngx_mesh_series(ctx->direction == NGX_MESH_OUTGOING
                               ? NGX_MESH_FAMILY_TCP_OUTGOING
                               : NGX_MESH_FAMILY_TCP_INCOMING,
                               ctx->direction,
                               ctx->upstream == &ctx->single ? NULL
                                                             : ctx->upstream,
                               e);
        if (slot == NULL) {
            return;
        }

        e->counter_slot = ngx_mesh_slot_number(slot);
        e->counter_hash = slot->hash;
    }

    ctx->slot = e->counter_slot;
    ctx->slot_hash = e->counter_hash;
}


void
ngx_stream_mesh_count_connected(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_stream_mesh_find_slot(ctx);

    ngx_stream_mesh_add(ctx, NGX_MESH_TCP_CONNECTIONS, 1);
    ngx_stream_mesh_add(ctx, NGX_MESH_TCP_CONNECT_TIME,
                        ngx_current_msec - ctx->started);

    ngx_queue_insert_tail(&ngx_stream_mesh_connected, &ctx->queue);

    if (!ngx_stream_mesh_timer.timer_set) {
        ngx_add_timer(&ngx_stream_mesh_timer, NGX_STREAM_MESH_COUNT_MSEC);
    }
}


void
ngx_stream_mesh_count_first_byte(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_stream_mesh_add(ctx, NGX_MESH_TCP_FIRST_BYTES, 1);
    ngx_stream_mesh_add(ctx, NGX_MESH_TCP_FIRST_BYTE_TIME,
                        ngx_current_msec - ctx->started);
}


void
ngx_stream_mesh_count_ended(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_stream_mesh_count_bytes(ctx);

    ngx_stream_mesh_add(ctx, NGX_MESH_TCP_ENDED, 1);
    ngx_stream_mesh_add(ctx, NGX_MESH_TCP_RESPONSE_TIME,
                        ngx_current_msec - ctx->started);

    ngx_queue_remove(&ctx->queue);
}
