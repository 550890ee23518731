
/*
 * The upstream "mesh": an endpoint per attempt, a pooled connection where
 * there is one, TLS by what the endpoint is.
 *
 *     upstream mesh { server 0.0.0.1; mesh_endpoints; }
 *
 * The server is never called; nginx wants one in the block.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


/* a place in the mesh keeps idle connections this long, the application
   shorter: many servers close theirs after 5 seconds */

#define NGX_HTTP_MESH_IDLE_MESH         60000
#define NGX_HTTP_MESH_IDLE_APPLICATION  4000


static ngx_int_t ngx_http_mesh_init_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_mesh_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_mesh_get_peer(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_mesh_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);


char *
ngx_http_mesh_endpoints(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_upstream_srv_conf_t  *uscf;

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    uscf->peer.init_upstream = ngx_http_mesh_init_upstream;
    uscf->flags = NGX_HTTP_UPSTREAM_CREATE;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_mesh_init_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    us->peer.init = ngx_http_mesh_init_peer;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_mesh_ctx_t    *ctx;
    ngx_peer_connection_t  *pc;

    ctx = ngx_http_mesh_ctx(r);

    if (ctx == NULL || ctx->upstream == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "mesh: request was not judged before it is proxied");
        return NGX_ERROR;
    }

    pc = &r->upstream->peer;

    pc->data = ctx;
    pc->get = ngx_http_mesh_get_peer;
    pc->free = ngx_http_mesh_free_peer;
    pc->set_session = ngx_http_mesh_set_session;
    pc->save_session = ngx_http_mesh_save_session;
    pc->tries = ngx_min(ctx->upstream->nendpoints, NGX_HTTP_MESH_TRIES);

    if (ctx->protocol == NGX_MESH_GRPC) {
        ngx_http_mesh_grpc_watch(ctx);

    } else {
        ngx_http_mesh_interim_watch(ctx);
    }

    return ngx_http_mesh_retry_init(ctx);
}


/* a pod that calls a Service of its own may meet itself: see get_peer */

ngx_uint_t
ngx_http_mesh_is_own_pod(ngx_http_mesh_ctx_t *ctx,
    ngx_mesh_endpoint_t *endpoint)
{
    return ctx->direction == NGX_MESH_OUTGOING
           && ngx_mesh_addr_same_host(&endpoint->addr,
                                      ctx->request->connection->sockaddr);
}


static ngx_uint_t
ngx_http_mesh_usable(ngx_mesh_endpoint_t *endpoint, void *data)
{
    ngx_http_mesh_ctx_t  *ctx = data;

    if (ngx_mesh_is_tried(ctx->tried, ctx->ntried, endpoint)) {
        return 0;
    }

    /* the original destination: whoever judged the request allowed it */

    if (endpoint == &ctx->one) {
        return 1;
    }

    return ctx->table->mode != NGX_MESH_STRICT
           || endpoint->identity.len
           || ngx_http_mesh_is_own_pod(ctx, endpoint);
}


/* the endpoint of the next attempt; NGX_DECLINED: none that may be used */

ngx_int_t
ngx_http_mesh_choose(ngx_http_mesh_ctx_t *ctx)
{
    ctx->endpoint = ngx_mesh_balance(ctx->upstream, ngx_http_mesh_usable,
                                     ctx);
    ctx->chosen = 1;

    return ctx->endpoint ? NGX_OK : NGX_DECLINED;
}


/* the peer of the chosen endpoint */

static ngx_mesh_peer_t *
ngx_http_mesh_hold_peer(ngx_http_mesh_ctx_t *ctx)
{
    ngx_mesh_peer_t  *peer;

    peer = ngx_mesh_peer_of(ctx->endpoint,
                            ngx_http_mesh_is_own_pod(ctx, ctx->endpoint));
    if (peer == NULL) {
        return NULL;
    }

    /* until the request ends: nginx keeps pointers to the peer's name */

    ctx->held[ctx->nheld++] = peer;

    return peer;
}


/*
 * nginx would connect after get_peer, but leave Nagle's algorithm on in
 * plaintext: each chunk of a streamed body would wait for a delayed ACK.
 */

static ngx_int_t
ngx_http_mesh_connect(ngx_peer_connection_t *pc)
{
    ngx_int_t  rc;

    pc->get = ngx_event_get_peer;
    rc = ngx_event_connect_peer(pc);
    pc->get = ngx_http_mesh_get_peer;

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return rc;
    }

    if (ngx_tcp_nodelay(pc->connection) != NGX_OK) {
        return NGX_ERROR;
    }

    return rc == NGX_OK ? NGX_DONE : NGX_AGAIN;
}


static ngx_int_t
ngx_http_mesh_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_mesh_ctx_t  *ctx = data;

    ngx_uint_t            unused;
    ngx_mesh_peer_t      *peer;
    ngx_http_upstream_t  *u;

    if (ctx->nheld == NGX_HTTP_MESH_ATTEMPTS
        || (!ctx->chosen && ngx_http_mesh_retry_choose(ctx) != NGX_OK))
    {
        return NGX_BUSY;
    }

    ctx->chosen = 0;

    peer = ngx_http_mesh_hold_peer(ctx);
    if (peer == NULL) {
        return NGX_ERROR;
    }

    ngx_mesh_peer_begin(peer);

    ctx->peer = peer;
    ctx->started = ngx_current_msec;

    u = ctx->request->upstream;
    u->ssl = (peer->identity.len != 0);

    pc->sockaddr = &peer->sockaddr.sockaddr;
    pc->socklen = peer->socklen;
    pc->name = &peer->name;
    pc->cached = 0;
    pc->connection = NULL;
    ctx->unused = 0;

    if (!ctx->fresh) {
        pc->connection = ngx_http_mesh_pool_get(peer, ctx->protocol, &unused);
    }

    if (pc->connection) {
        ngx_http_mesh_pool_adopt(pc);

        if (unused) {
            ngx_mesh_count_preconnect("used");
            ctx->unused = 1;
        }

        /* HTTP/2: the beginning of the body comes after the headers */

        if (ctx->protocol == NGX_MESH_GRPC) {
            pc->cached = !ctx->unused;   /* it has yet to be begun */
            ngx_http_mesh_cork(pc->connection);
        }

        return NGX_DONE;
    }

    return ngx_http_mesh_connect(pc);
}


static void
ngx_http_mesh_note_tls(ngx_http_mesh_ctx_t *ctx, ngx_connection_t *c)
{
    ngx_mesh_tls_t  *tls;

    tls = ngx_mesh_tls_get(c);

    if (tls == NULL || tls->result != NGX_MESH_HANDSHAKE_OK) {
        return;
    }

    ctx->identity = ctx->peer->identity;
    ctx->tls_version = tls->version;
    ctx->tls_cipher = tls->cipher;
}


/*
 * The endpoint's own time.  The first request of a connection that stays also
 * carries what setting it up cost the other side: later ones tell better.
 */

static void
ngx_http_mesh_measure(ngx_http_mesh_ctx_t *ctx)
{
    ngx_msec_t                  connected;
    ngx_http_upstream_t        *u;
    ngx_http_upstream_state_t  *state;

    u = ctx->request->upstream;
    state = u->state;

    if (state == NULL || u->headers_in.status_n == 0 || u->upgrade
        || state->connect_time == (ngx_msec_t) -1
        || (u->keepalive && !u->peer.cached))
    {
        return;
    }

    connected = state->connect_time;

    if (state->header_time != (ngx_msec_t) -1) {
        ngx_mesh_average_add(&ctx->peer->header,
                             state->header_time - connected);
    }

    if (state->response_time != (ngx_msec_t) -1
        && !ctx->request->connection->error)
    {
        ngx_mesh_average_add(&ctx->peer->last_byte,
                             state->response_time - connected);
    }
}


/* whether the next request may use the connection */

static ngx_uint_t
ngx_http_mesh_is_reusable(ngx_http_mesh_ctx_t *ctx, ngx_connection_t *c)
{
    ngx_mesh_tls_t       *tls;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    if (c->read->eof || c->read->error || c->read->timedout
        || c->write->error || c->write->timedout
        || !u->keepalive || !u->request_body_sent
        || ngx_terminate || ngx_exiting)
    {
        return 0;
    }

    if (ctx->direction == NGX_MESH_INCOMING) {
        return ngx_mesh_accepts(&ctx->dst, ctx->protocol);
    }

    if (ctx->peer->mark != ngx_mesh.mark) {
        return 0;
    }

    tls = ngx_mesh_tls_get(c);

    return tls ? !ngx_mesh_tls_is_stale(tls) : 1;
}


static void
ngx_http_mesh_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_mesh_ctx_t  *ctx = data;

    ngx_msec_t        timeout;
    ngx_mesh_peer_t  *peer;

    peer = ctx->peer;

    if (pc->tries) {
        pc->tries--;
    }

    if (peer == NULL) {
        return;
    }

    ngx_mesh_peer_end(peer, ctx->started);

    if (pc->connection) {
        ngx_http_mesh_note_tls(ctx, pc->connection);
    }

    if (state & NGX_PEER_FAILED) {

        if (ngx_http_mesh_retry_is_pool_death(pc)) {
            ctx->fresh = 1;

            /* as nginx does where it knows of the pool */

            if (!pc->cached) {
                pc->tries++;
            }

        } else {
            ngx_http_mesh_retry_failed(ctx);
        }

    } else {
        peer->failing = 0;
        ngx_http_mesh_measure(ctx);

        timeout = (ctx->direction == NGX_MESH_INCOMING)
                  ? NGX_HTTP_MESH_IDLE_APPLICATION : NGX_HTTP_MESH_IDLE_MESH;

        if (pc->connection
            && ngx_http_mesh_is_reusable(ctx, pc->connection)
            && ngx_http_mesh_pool_put(peer, ctx->protocol, pc->connection,
                                      timeout, 0)
               == NGX_OK)
        {
            pc->connection = NULL;
        }
    }

    ctx->peer = NULL;
}
