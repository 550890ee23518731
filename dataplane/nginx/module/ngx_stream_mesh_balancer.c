
/*
 * The upstream "mesh" of stream: an endpoint per attempt.
 *
 *     upstream mesh { server 0.0.0.1:1; mesh_endpoints; }
 *
 * The server is never called; nginx wants one in the block.
 */


#include "ngx_stream_mesh.h"


static ngx_int_t ngx_stream_mesh_init_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_stream_mesh_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_stream_mesh_get_peer(ngx_peer_connection_t *pc,
    void *data);
static void ngx_stream_mesh_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
static void ngx_stream_mesh_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);


char *
ngx_stream_mesh_endpoints(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_stream_upstream_srv_conf_t  *uscf;

    uscf = ngx_stream_conf_get_module_srv_conf(cf,
                                               ngx_stream_upstream_module);

    uscf->peer.init_upstream = ngx_stream_mesh_init_upstream;
    uscf->flags = NGX_STREAM_UPSTREAM_CREATE;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_stream_mesh_init_upstream(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us)
{
    us->peer.init = ngx_stream_mesh_init_peer;

    return NGX_OK;
}


/* whether the caller may connect at all (contract 7.access) */

static ngx_int_t
ngx_stream_mesh_judge_caller(ngx_stream_mesh_ctx_t *ctx, ngx_str_t *identity)
{
    ngx_mesh_judgement_t  j;

    if (!ctx->table->access.enforced || ctx->table->transparent) {
        return NGX_OK;
    }

    ngx_mesh_access_judge(&ctx->table->access, identity, ctx->dst.port, NULL,
                          &j);

    if (j.reason) {
        ngx_stream_mesh_refuse_by(ctx, j.reason, j.policy);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* whether this listener is the one that was meant, and who is there */

static ngx_int_t
ngx_stream_mesh_check(ngx_stream_mesh_ctx_t *ctx, ngx_connection_t *c)
{
    ngx_mesh_tls_t  *tls;

    if (ctx->verdict.target != NGX_MESH_TO_TCP_MTLS) {
        return NGX_OK;
    }

    tls = ngx_mesh_tls_get(c);

    if (tls == NULL || tls->identity.len == 0) {
        ngx_stream_mesh_refuse(ctx, "no_identity");
        return NGX_DECLINED;
    }

    ctx->caller = tls;

    return ngx_stream_mesh_judge_caller(ctx, &tls->identity);
}


static ngx_int_t
ngx_stream_mesh_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_connection_t       *c;
    ngx_peer_connection_t  *pc;
    ngx_stream_mesh_ctx_t  *ctx;

    c = s->connection;
    ctx = ngx_stream_mesh_ctx(s);

    /* our own application called a port of ours: nobody redirected that */

    if (ctx == NULL || ctx->table == NULL) {
        ngx_mesh_count_refusal(NGX_MESH_OUTGOING, "not_redirected");
        ngx_mesh_abort(c);
        return NGX_ERROR;
    }

    if (ngx_stream_mesh_check(ctx, c) != NGX_OK
        || (ctx->upstream == NULL
            && (ngx_stream_mesh_single(ctx) != NGX_OK
                || ngx_stream_mesh_choose(ctx) != NGX_OK)))
    {
        ngx_mesh_abort(c);
        return NGX_ERROR;
    }

    ngx_stream_mesh_relay_client(ctx);

    pc = &s->upstream->peer;

    pc->data = ctx;
    pc->get = ngx_stream_mesh_get_peer;
    pc->free = ngx_stream_mesh_free_peer;
    pc->notify = ngx_stream_mesh_notify_peer;
    pc->set_session = ngx_stream_mesh_set_session;
    pc->save_session = ngx_stream_mesh_save_session;
    pc->tries = ngx_min(ctx->upstream->nendpoints, NGX_STREAM_MESH_TRIES);

    return NGX_OK;
}


static ngx_int_t
ngx_stream_mesh_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_stream_mesh_ctx_t  *ctx = data;

    ngx_mesh_peer_t  *peer;

    if (ctx->nheld == NGX_STREAM_MESH_TRIES
        || (!ctx->chosen && ngx_stream_mesh_choose(ctx) != NGX_OK))
    {
        ngx_mesh_abort(ctx->connection);
        return NGX_BUSY;
    }

    ctx->chosen = 0;

    peer = ngx_stream_mesh_hold_peer(ctx);
    if (peer == NULL) {
        return NGX_ERROR;
    }

    ngx_mesh_peer_begin(peer);

    ctx->peer = peer;
    ctx->started = ngx_current_msec;

    pc->sockaddr = &peer->sockaddr.sockaddr;
    pc->socklen = peer->socklen;
    pc->name = &peer->name;
    pc->cached = 0;
    pc->connection = NULL;

    return NGX_OK;
}


/* the endpoint has the connection, after the handshake where there is one */

static void
ngx_stream_mesh_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_stream_mesh_ctx_t  *ctx = data;

    if (ctx->connected) {
        return;
    }

    ctx->connected = 1;
    ctx->asked = ngx_current_msec;
    ctx->peer->failing = 0;

    ngx_stream_mesh_count_connected(ctx);
    ngx_stream_mesh_relay_upstream(ctx, pc->connection);

    /* a connection may last for days: it must not keep a table that long */

    ctx->endpoint = NULL;
    ctx->upstream = NULL;

    if (ctx->table != ngx_mesh.table) {

        /* it was judged by what has changed since */

        ngx_stream_mesh_review(ctx);
    }

    ngx_mesh_table_release(ctx->table);
    ctx->table = NULL;
}


static void
ngx_stream_mesh_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_stream_mesh_ctx_t  *ctx = data;

    ngx_mesh_peer_t  *peer;

    peer = ctx->peer;

    if (pc->tries) {
        pc->tries--;
    }

    if (peer == NULL) {
        return;
    }

    ngx_mesh_peer_end(peer, ctx->started);

    if (ctx->connected) {
        ngx_mesh_average_add(&peer->last_byte,
                             ngx_current_msec - ctx->started);
        ngx_stream_mesh_count_ended(ctx);

    } else if (state & NGX_PEER_FAILED) {
        ngx_mesh_peer_fail(peer);

        ctx->tried[ctx->ntried++] = ctx->endpoint;

        if (pc->tries == 0) {
            ngx_mesh_abort(ctx->connection);
        }
    }

    ctx->peer = NULL;
}
