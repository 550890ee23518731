
/*
 * How the two halves of a relayed connection end.
 *
 * - The end of one side's bytes is the end of the other side's, and the other
 *   direction goes on.  Over TLS it is said by close_notify (RFC 8446, 6.1):
 *   without that, whoever sits between two pods could cut a stream short and
 *   let it look complete.
 * - Anything else that ends one side resets the other: an application must
 *   not take half an answer for a whole one.
 */


#include "ngx_stream_mesh.h"
#include <openssl/err.h>


static ssize_t ngx_stream_mesh_recv_client(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_stream_mesh_recv_upstream(ngx_connection_t *c, u_char *buf,
    size_t size);
static ngx_chain_t *ngx_stream_mesh_send_client(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static ngx_chain_t *ngx_stream_mesh_send_upstream(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);


/* NULL: OpenSSL goes on with it, or there is no TLS */

static ngx_mesh_channel_t *
ngx_stream_mesh_relay_records(ngx_connection_t *c)
{
    ngx_mesh_channel_t  *ch;

    if (c->ssl == NULL) {
        return NULL;
    }

    ch = ngx_calloc(sizeof(ngx_mesh_channel_t), c->log);
    if (ch == NULL) {
        return NULL;
    }

    if (ngx_mesh_channel_take(ch, c) != NGX_OK) {
        ngx_free(ch);
        return NULL;
    }

    ch->last_ends = 1;

    SSL_free(c->ssl->connection);
    c->ssl = NULL;

    return ch;
}


void
ngx_stream_mesh_relay_free(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_uint_t  side;

    for (side = 0; side < 2; side++) {
        if (ctx->records[side]) {
            ngx_mesh_channel_free(ctx->records[side]);
            ngx_free(ctx->records[side]);
        }
    }
}


static void
ngx_stream_mesh_relay(ngx_stream_mesh_ctx_t *ctx, ngx_uint_t side,
    ngx_connection_t *c)
{
    ctx->recv[side] = c->recv;
    ctx->send_chain[side] = c->send_chain;

    /* the end of the bytes must reach send_chain, even with none before it */

    c->need_last_buf = (c->ssl != NULL);

    ctx->records[side] = ngx_stream_mesh_relay_records(c);

    ngx_stream_mesh_watch_end(c);
}


void
ngx_stream_mesh_relay_client(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->connection;

    ngx_stream_mesh_relay(ctx, NGX_STREAM_MESH_CLIENT, c);

    c->recv = ngx_stream_mesh_recv_client;
    c->send_chain = ngx_stream_mesh_send_client;

    ngx_stream_mesh_buffers_client(ctx);
}


void
ngx_stream_mesh_relay_upstream(ngx_stream_mesh_ctx_t *ctx,
    ngx_connection_t *pc)
{
    ngx_stream_mesh_relay(ctx, NGX_STREAM_MESH_UPSTREAM, pc);

    pc->recv = ngx_stream_mesh_recv_upstream;
    pc->send_chain = ngx_stream_mesh_send_upstream;

    ngx_stream_mesh_buffers_upstream(ctx);

    if (ctx->broken) {
        ngx_mesh_abort(pc);
    }
}


static ssize_t
ngx_stream_mesh_recv(ngx_stream_mesh_ctx_t *ctx, ngx_uint_t side,
    ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t  n;

    if (ctx->records[side]) {

        /* without room for a whole record it is written first */

        return size < NGX_MESH_RECORD_MAX
               ? NGX_AGAIN
               : ngx_mesh_channel_recv(ctx->records[side], c, buf, size);
    }

    n = ctx->recv[side](c, buf, size);

    return n == 0 && ngx_stream_mesh_is_cut_short(c) ? NGX_ERROR : n;
}


static ssize_t
ngx_stream_mesh_recv_client(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t                 n;
    ngx_stream_session_t   *s;
    ngx_stream_mesh_ctx_t  *ctx;

    s = c->data;
    ctx = ngx_stream_get_module_ctx(s, ngx_stream_mesh_module);

    n = ngx_stream_mesh_recv(ctx, NGX_STREAM_MESH_CLIENT, c, buf, size);

    if (n > 0 && !ctx->spoken) {
        ctx->spoken = 1;
        ctx->asked = ngx_current_msec;
    }

    if (n == NGX_ERROR) {
        ctx->broken = 1;

        if (ctx->connected) {
            ngx_mesh_abort(s->upstream->peer.connection);
        }
    }

    return n;
}


static ssize_t
ngx_stream_mesh_recv_upstream(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t                 n;
    ngx_stream_session_t   *s;
    ngx_stream_mesh_ctx_t  *ctx;

    s = c->data;
    ctx = ngx_stream_get_module_ctx(s, ngx_stream_mesh_module);

    n = ngx_stream_mesh_recv(ctx, NGX_STREAM_MESH_UPSTREAM, c, buf, size);

    if (n > 0 && !ctx->answered) {
        ctx->answered = 1;

        /* from what the client said, if it spoke first */

        ngx_mesh_average_add(&ctx->peer->header,
                             ngx_current_msec - ctx->asked);
        ngx_stream_mesh_count_first_byte(ctx);
    }

    if (n == NGX_ERROR) {

        /* accepted, and reset before a word: nobody serves there */

        if (!ctx->answered && ctx->direction == NGX_MESH_OUTGOING) {
            ngx_mesh_peer_fail(ctx->peer);
            ngx_stream_mesh_failed(ctx);
        }

        ngx_mesh_abort(s->connection);
    }

    return n;
}


/* NGX_AGAIN: the socket takes no more just now */

static ngx_int_t
ngx_stream_mesh_close_notify(ngx_connection_t *c)
{
    int   n;
    SSL  *ssl;

    ssl = c->ssl->connection;

    if (SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) {
        return NGX_OK;
    }

    ERR_clear_error();

    n = SSL_shutdown(ssl);

    if (n < 0 && SSL_get_error(ssl, n) == SSL_ERROR_WANT_WRITE) {
        c->write->ready = 0;
        return NGX_AGAIN;
    }

    return n < 0 ? NGX_ERROR : NGX_OK;
}


static ngx_chain_t *
ngx_stream_mesh_send(ngx_stream_mesh_ctx_t *ctx, ngx_connection_t *c,
    ngx_uint_t side, ngx_chain_t *in, off_t limit)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl, *last;

    if (ctx->records[side]) {
        return ngx_mesh_channel_send_chain(ctx->records[side], c, in);
    }

    last = NULL;

    if (c->ssl) {
        for (cl = in; cl; cl = cl->next) {
            if (cl->buf->last_buf) {
                last = cl;
            }
        }
    }

    cl = ctx->send_chain[side](c, in, limit);

    if (cl != NULL || last == NULL) {
        return cl;
    }

    rc = ngx_stream_mesh_close_notify(c);

    if (rc == NGX_AGAIN) {

        /* its bytes are gone; what is left is the mark of the end */

        last->buf->temporary = 0;
        return last;
    }

    return rc == NGX_OK ? NULL : NGX_CHAIN_ERROR;
}


static ngx_chain_t *
ngx_stream_mesh_send_client(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    ngx_chain_t            *cl;
    ngx_stream_session_t   *s;
    ngx_stream_mesh_ctx_t  *ctx;

    s = c->data;
    ctx = ngx_stream_get_module_ctx(s, ngx_stream_mesh_module);

    cl = ngx_stream_mesh_send(ctx, c, NGX_STREAM_MESH_CLIENT, in, limit);

    if (cl == NGX_CHAIN_ERROR && ctx->connected) {
        ngx_mesh_abort(s->upstream->peer.connection);
    }

    return cl;
}


static ngx_chain_t *
ngx_stream_mesh_send_upstream(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    ngx_chain_t            *cl;
    ngx_stream_session_t   *s;
    ngx_stream_mesh_ctx_t  *ctx;

    s = c->data;
    ctx = ngx_stream_get_module_ctx(s, ngx_stream_mesh_module);

    cl = ngx_stream_mesh_send(ctx, c, NGX_STREAM_MESH_UPSTREAM, in, limit);

    if (cl == NGX_CHAIN_ERROR) {
        ngx_mesh_abort(s->connection);
    }

    return cl;
}
