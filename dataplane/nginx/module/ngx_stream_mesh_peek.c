
/*
 * The look at the first bytes of a connection, which stay in the socket for
 * the listener that it is then handed to.  nginx's own preread would take
 * memory for the life of the connection, and close one whose client ends its
 * side before it says anything.
 */


#include "ngx_stream_mesh.h"
#include "ngx_stream_mesh_hello.h"


static void ngx_stream_mesh_peek_handler(ngx_event_t *rev);
static void ngx_stream_mesh_silence_handler(ngx_event_t *ev);


/* NGX_AGAIN: more bytes are needed; NGX_ERROR: there is nobody any more */

static ngx_int_t
ngx_stream_mesh_look(ngx_stream_mesh_ctx_t *ctx)
{
    ssize_t              n;
    ngx_err_t            err;
    ngx_connection_t    *c;
    ngx_mesh_verdict_t  *v;

    static u_char        bytes[NGX_STREAM_MESH_HELLO_MAX];

    c = ctx->connection;
    v = &ctx->verdict;

    n = recv(c->fd, bytes, sizeof(bytes), MSG_PEEK);

    if (n == -1) {
        err = ngx_socket_errno;

        if (err == NGX_EAGAIN) {
            c->read->ready = 0;
            return NGX_AGAIN;
        }

        ngx_connection_error(c, err, "recv() failed");
        return NGX_ERROR;
    }

    if (n == 0) {

        /* an application may speak to a client that is done speaking */

        if (ngx_mesh_is_refusal(v->plain)) {
            return NGX_ERROR;
        }

        v->target = v->plain;
        return NGX_OK;
    }

    switch (v->mesh == v->tls ? ngx_stream_mesh_is_tls(bytes, bytes + n)
                              : ngx_stream_mesh_hello(bytes, bytes + n))
    {

    case NGX_STREAM_MESH_HELLO_MORE:
        return c->read->pending_eof ? NGX_ERROR : NGX_AGAIN;

    case NGX_STREAM_MESH_HELLO_NONE:
        v->target = v->plain;
        break;

    case NGX_STREAM_MESH_HELLO_TLS:
        v->target = v->tls;
        break;

    default: /* NGX_STREAM_MESH_HELLO_MESH */
        v->target = v->mesh;
        break;
    }

    return NGX_OK;
}


static void
ngx_stream_mesh_looked(ngx_stream_mesh_ctx_t *ctx)
{
    if (ctx->silence.timer_set) {
        ngx_del_timer(&ctx->silence);
    }

    ctx->verdict.reason = ctx->verdict.denied;

    ngx_stream_mesh_decided(ctx);
}


/* in the preread phase: NGX_DONE is "I go on by myself" */

ngx_int_t
ngx_stream_mesh_peek(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = ctx->connection;

    rc = ngx_stream_mesh_look(ctx);

    if (rc == NGX_OK) {
        ngx_stream_mesh_looked(ctx);
        return NGX_OK;
    }

    if (rc == NGX_ERROR) {
        return NGX_STREAM_OK;
    }

    c->read->handler = ngx_stream_mesh_peek_handler;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ctx->silence.timer_set) {
        ctx->silence.handler = ngx_stream_mesh_silence_handler;
        ctx->silence.data = c;
        ctx->silence.log = c->log;

        ngx_add_timer(&ctx->silence, ctx->verdict.silence);
    }

    return NGX_DONE;
}


static void
ngx_stream_mesh_peek_handler(ngx_event_t *rev)
{
    ngx_connection_t      *c;
    ngx_stream_session_t  *s;

    c = rev->data;
    s = c->data;

    if (c->close) {
        ngx_stream_finalize_session(s, NGX_STREAM_OK);
        return;
    }

    rev->handler = ngx_stream_session_handler;

    ngx_stream_core_run_phases(s);
}


static void
ngx_stream_mesh_silence_handler(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_stream_mesh_ctx_t  *ctx;

    c = ev->data;
    ctx = ngx_stream_mesh_ctx(c->data);

    ctx->verdict.target = ctx->verdict.plain;
    ngx_stream_mesh_looked(ctx);

    c->read->handler = ngx_stream_session_handler;

    ngx_stream_core_run_phases(ctx->session);
}
