
/*
 * Buffers of relayed connections.  A connection has one for a direction only
 * while bytes of that direction are in it: an idle one holds none, and busy
 * ones find theirs in the processor's cache.
 *
 * nginx's relay reads into s->upstream->downstream_buf and upstream_buf, of
 * which it expects that they are there.  Each of its four event handlers is
 * called from here, with the buffer of the direction that the event is about.
 */


#include "ngx_stream_mesh.h"


static void ngx_stream_mesh_relay_event(ngx_event_t *ev);
static void ngx_stream_mesh_relay_begin(ngx_event_t *ev);


/* whose handler runs, until that closes it */
static ngx_stream_mesh_ctx_t  *ngx_stream_mesh_current;


/* what comes from "side" */

static ngx_buf_t *
ngx_stream_mesh_buf(ngx_stream_mesh_ctx_t *ctx, ngx_uint_t side)
{
    ngx_stream_upstream_t  *u;

    u = ctx->session->upstream;

    return side == NGX_STREAM_MESH_CLIENT ? &u->downstream_buf
                                          : &u->upstream_buf;
}


static ngx_int_t
ngx_stream_mesh_lend(ngx_stream_mesh_ctx_t *ctx, ngx_uint_t side)
{
    u_char     *p;
    ngx_buf_t  *b;

    if (ctx->buffer[side]) {
        return NGX_OK;
    }

    p = ngx_mesh_buffer_take(ctx->connection->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->buffer[side] = p;

    b = ngx_stream_mesh_buf(ctx, side);

    b->start = p;
    b->pos = p;
    b->last = p;
    b->end = p + NGX_MESH_BUFFER;

    return NGX_OK;
}


/* nginx allocates none where "start" is set, and reads nothing without room */

static void
ngx_stream_mesh_empty(ngx_buf_t *b)
{
    static u_char  nothing;

    b->start = &nothing;
    b->pos = &nothing;
    b->last = &nothing;
    b->end = &nothing;
}


static void
ngx_stream_mesh_reclaim(ngx_stream_mesh_ctx_t *ctx, ngx_uint_t side)
{
    ngx_uint_t              used;
    ngx_stream_upstream_t  *u;

    if (ctx->buffer[side] == NULL) {
        return;
    }

    u = ctx->session->upstream;

    used = side == NGX_STREAM_MESH_CLIENT
           ? u->upstream_out != NULL || u->upstream_busy != NULL
           : u->downstream_out != NULL || u->downstream_busy != NULL;

    if (used) {
        return;
    }

    ngx_mesh_buffer_give(ctx->buffer[side]);
    ctx->buffer[side] = NULL;

    ngx_stream_mesh_empty(ngx_stream_mesh_buf(ctx, side));
}


static void
ngx_stream_mesh_relay_event(ngx_event_t *ev)
{
    ngx_uint_t              side;
    ngx_connection_t       *c;
    ngx_stream_session_t   *s;
    ngx_stream_mesh_ctx_t  *ctx;

    c = ev->data;
    s = c->data;
    ctx = ngx_stream_get_module_ctx(s, ngx_stream_mesh_module);

    /* writing to one side is of what comes from the other */

    side = (c == s->connection) == !ev->write ? NGX_STREAM_MESH_CLIENT
                                              : NGX_STREAM_MESH_UPSTREAM;

    if (ngx_stream_mesh_lend(ctx, side) != NGX_OK) {

        /* a time-out is what nginx ends both sides for, whatever they do */

        ngx_mesh_abort(s->connection);

        if (s->upstream->peer.connection) {
            ngx_mesh_abort(s->upstream->peer.connection);
        }

        ev->timedout = 1;
    }

    ngx_stream_mesh_current = ctx;

    ctx->handler[c == s->connection ? NGX_STREAM_MESH_CLIENT
                                    : NGX_STREAM_MESH_UPSTREAM](ev);

    if (ngx_stream_mesh_current) {
        ngx_stream_mesh_current = NULL;
        ngx_stream_mesh_reclaim(ctx, side);
    }
}


static void
ngx_stream_mesh_relay_side(ngx_stream_mesh_ctx_t *ctx, ngx_uint_t side,
    ngx_connection_t *c)
{
    ctx->handler[side] = c->read->handler;

    c->read->handler = ngx_stream_mesh_relay_event;
    c->write->handler = ngx_stream_mesh_relay_event;
}


/* the client's side has nginx's handlers, and its buffer is empty */

void
ngx_stream_mesh_buffers_client(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_buf_t  *b;

    b = ngx_stream_mesh_buf(ctx, NGX_STREAM_MESH_CLIENT);

    ngx_pfree(ctx->connection->pool, b->start);
    ngx_stream_mesh_empty(b);

    ngx_stream_mesh_relay_side(ctx, NGX_STREAM_MESH_CLIENT, ctx->connection);
}


/* nginx is about to set the upstream's handlers: ours come after them */

void
ngx_stream_mesh_buffers_upstream(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_event_t  *ev;

    ngx_stream_mesh_empty(ngx_stream_mesh_buf(ctx, NGX_STREAM_MESH_UPSTREAM));

    ev = &ctx->begin;

    ev->data = ctx;
    ev->log = ctx->connection->log;
    ev->handler = ngx_stream_mesh_relay_begin;

    ngx_post_event(ev, &ngx_posted_events);
}


/* nginx has looked at both sides already, without a buffer to read into */

static void
ngx_stream_mesh_relay_begin(ngx_event_t *ev)
{
    ngx_connection_t       *c, *pc;
    ngx_stream_mesh_ctx_t  *ctx;

    ctx = ev->data;

    c = ctx->connection;
    pc = ctx->session->upstream->peer.connection;

    if (pc == NULL) {
        return;
    }

    ngx_stream_mesh_relay_side(ctx, NGX_STREAM_MESH_UPSTREAM, pc);

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }

    if (pc->read->ready) {
        ngx_post_event(pc->read, &ngx_posted_events);
    }
}


void
ngx_stream_mesh_buffers_free(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_uint_t  side;

    if (ngx_stream_mesh_current == ctx) {
        ngx_stream_mesh_current = NULL;
    }

    if (ctx->begin.posted) {
        ngx_delete_posted_event(&ctx->begin);
    }

    for (side = 0; side < 2; side++) {
        if (ctx->buffer[side]) {
            ngx_mesh_buffer_give(ctx->buffer[side]);
        }
    }
}
