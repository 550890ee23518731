
/*
 * Connections that are made before a request asks for them (docs/adr/0016):
 * to endpoints that come to a Service which is called now, and in place of
 * pooled ones that a new bundle, or the end of a certificate, closed.
 *
 * INVARIANT: what is pooled here proved the peer's identity by the same
 * handshake as a request's connection, under the bundle of now.
 *
 * They are made one after another by a timer, never within a request.  That
 * one fails says nothing of the endpoint: requests will find out.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


#define NGX_HTTP_MESH_WARM_MAX      4        /* connections of one peer */
#define NGX_HTTP_MESH_WARM_WAITING  256      /* peers */
#define NGX_HTTP_MESH_WARM_OPEN     8        /* handshakes at a time */

/* all callers hear of an endpoint at once, so each waits by chance */
#define NGX_HTTP_MESH_WARM_SPREAD   40
#define NGX_HTTP_MESH_WARM_GAP      3

/* how long requests go to others meanwhile, and what comes of it may take */
#define NGX_HTTP_MESH_WARM_HOLD     250
#define NGX_HTTP_MESH_WARM_TIMEOUT  5000

/* less than the 15 s that a sidecar waits for a first request */
#define NGX_HTTP_MESH_WARM_IDLE     10000


/* what is still to be made for one peer */

typedef struct {
    ngx_queue_t               queue;         /* while "left" */
    ngx_mesh_peer_t          *peer;          /* held */
    ngx_mesh_protocol_e       protocol;
    ngx_uint_t                left;
    ngx_uint_t                open;          /* not yet done */
} ngx_http_mesh_warm_t;


static void ngx_http_mesh_warm_tick(ngx_event_t *ev);
static void ngx_http_mesh_warm_handler(ngx_event_t *ev);
static void ngx_http_mesh_warm_done(ngx_connection_t *c);


static ngx_queue_t       ngx_http_mesh_warms;
static ngx_uint_t        ngx_http_mesh_nwarms;
static ngx_uint_t        ngx_http_mesh_warm_open;

static ngx_ssl_t        *ngx_http_mesh_warm_ssl[NGX_MESH_GRPC + 1];

static ngx_event_t       ngx_http_mesh_warm_event;
static ngx_connection_t  ngx_http_mesh_warm_dummy;


void
ngx_http_mesh_warm_init(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_http_mesh_warms);
    ngx_http_mesh_nwarms = 0;
    ngx_http_mesh_warm_open = 0;

    ngx_http_mesh_warm_dummy.fd = (ngx_socket_t) -1;
    ngx_http_mesh_warm_event.data = &ngx_http_mesh_warm_dummy;
    ngx_http_mesh_warm_event.handler = ngx_http_mesh_warm_tick;
    ngx_http_mesh_warm_event.log = cycle->log;
    ngx_http_mesh_warm_event.cancelable = 1;
}


/* of each request's handshake: nginx keeps the context in its upstream */

void
ngx_http_mesh_warm_learn(ngx_mesh_protocol_e protocol, ngx_ssl_t *ssl)
{
    ngx_http_mesh_warm_ssl[protocol] = ssl;
}


/*
 * What we would send to our own address is not redirected: the application
 * would get the handshake.  No packet leaves by this.
 */

static ngx_uint_t
ngx_http_mesh_is_ourselves(ngx_mesh_peer_t *peer)
{
    socklen_t       len;
    ngx_socket_t    s;
    ngx_uint_t      ours;
    ngx_sockaddr_t  local;

    s = ngx_socket(peer->sockaddr.sockaddr.sa_family, SOCK_DGRAM, 0);
    if (s == (ngx_socket_t) -1) {
        return 1;
    }

    len = sizeof(ngx_sockaddr_t);

    ours = connect(s, &peer->sockaddr.sockaddr, peer->socklen) == -1
           || getsockname(s, &local.sockaddr, &len) == -1
           || ngx_mesh_addr_same_host(&peer->addr, &local.sockaddr);

    (void) ngx_close_socket(s);

    return ours;
}


static void
ngx_http_mesh_warm_later(ngx_msec_t least, ngx_msec_t more)
{
    if (!ngx_http_mesh_warm_event.timer_set) {
        ngx_add_timer(&ngx_http_mesh_warm_event,
                      least + (ngx_msec_t) ngx_random() % more);
    }
}


/* "n" connections, soon; with "hold" requests go to others until then */

void
ngx_http_mesh_warm(ngx_mesh_peer_t *peer, ngx_mesh_protocol_e protocol,
    ngx_uint_t n, ngx_uint_t hold)
{
    ngx_http_mesh_warm_t  *w;

    if (n == 0 || peer->planned || peer->identity.len == 0
        || ngx_http_mesh_warm_ssl[protocol] == NULL
        || ngx_mesh.svid == NULL || ngx_mesh.bundle == NULL
        || ngx_http_mesh_nwarms == NGX_HTTP_MESH_WARM_WAITING
        || ngx_exiting || ngx_terminate
        || ngx_http_mesh_is_ourselves(peer))
    {
        return;
    }

    w = ngx_alloc(sizeof(ngx_http_mesh_warm_t), ngx_cycle->log);
    if (w == NULL) {
        return;
    }

    w->peer = peer;
    w->protocol = protocol;
    w->left = ngx_min(n, NGX_HTTP_MESH_WARM_MAX);
    w->open = 0;

    peer->refs++;
    peer->planned = 1;

    if (hold) {
        ngx_mesh_peer_warm(peer, NGX_HTTP_MESH_WARM_HOLD);
    }

    ngx_http_mesh_nwarms++;
    ngx_queue_insert_tail(&ngx_http_mesh_warms, &w->queue);

    ngx_http_mesh_warm_later(1, NGX_HTTP_MESH_WARM_SPREAD);
}


/* nothing more is begun */

static void
ngx_http_mesh_warm_stop(ngx_http_mesh_warm_t *w)
{
    if (w->left) {
        w->left = 0;
        ngx_queue_remove(&w->queue);
    }
}


static void
ngx_http_mesh_warm_end(ngx_http_mesh_warm_t *w)
{
    if (w->left || w->open) {
        return;
    }

    w->peer->planned = 0;
    ngx_mesh_peer_warm(w->peer, 0);
    ngx_mesh_peer_release(w->peer);

    ngx_http_mesh_nwarms--;
    ngx_free(w);
}


/* of one connection: whether it is pooled now */

static void
ngx_http_mesh_warm_result(ngx_http_mesh_warm_t *w, ngx_uint_t made)
{
    ngx_mesh_count_preconnect(made ? "made" : "failed");

    if (!made) {
        ngx_http_mesh_warm_stop(w);
    }

    ngx_http_mesh_warm_open--;
    w->open--;

    ngx_http_mesh_warm_end(w);
}


static void
ngx_http_mesh_warm_connect(ngx_http_mesh_warm_t *w)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    w->open++;
    ngx_http_mesh_warm_open++;

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = &w->peer->sockaddr.sockaddr;
    pc.socklen = w->peer->socklen;
    pc.name = &w->peer->name;
    pc.get = ngx_event_get_peer;
    pc.log = ngx_cycle->log;
    pc.log_error = NGX_ERROR_INFO;
    pc.so_keepalive = 1;

    rc = ngx_event_connect_peer(&pc);
    c = pc.connection;

    if (c == NULL || (rc != NGX_OK && rc != NGX_AGAIN)) {
        ngx_http_mesh_warm_result(w, 0);
        return;
    }

    c->pool = ngx_create_pool(128, ngx_cycle->log);

    if (c->pool == NULL || ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_http_mesh_pool_close(c);
        ngx_http_mesh_warm_result(w, 0);
        return;
    }

    c->data = w;
    c->read->handler = ngx_http_mesh_warm_handler;
    c->write->handler = ngx_http_mesh_warm_handler;

    ngx_add_timer(c->write, NGX_HTTP_MESH_WARM_TIMEOUT);

    if (rc == NGX_OK) {
        ngx_http_mesh_warm_handler(c->write);
    }
}


static void
ngx_http_mesh_warm_tick(ngx_event_t *ev)
{
    ngx_queue_t           *q;
    ngx_http_mesh_warm_t  *w;

    while (!ngx_queue_empty(&ngx_http_mesh_warms)
           && ngx_http_mesh_warm_open < NGX_HTTP_MESH_WARM_OPEN)
    {
        q = ngx_queue_head(&ngx_http_mesh_warms);
        w = ngx_queue_data(q, ngx_http_mesh_warm_t, queue);

        if (w->peer->mark != ngx_mesh.mark || ngx_exiting) {
            ngx_http_mesh_warm_stop(w);
            ngx_http_mesh_warm_end(w);
            continue;
        }

        ngx_queue_remove(q);

        if (--w->left) {
            ngx_queue_insert_tail(&ngx_http_mesh_warms, q);
        }

        ngx_http_mesh_warm_connect(w);
        break;
    }

    if (!ngx_queue_empty(&ngx_http_mesh_warms)) {
        ngx_http_mesh_warm_later(NGX_HTTP_MESH_WARM_GAP,
                                 NGX_HTTP_MESH_WARM_GAP);
    }
}


static ngx_uint_t
ngx_http_mesh_is_connected(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == 0
           && err == 0;
}


/* connected, or not */

static void
ngx_http_mesh_warm_handler(ngx_event_t *ev)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_mesh_warm_t  *w;

    c = ev->data;
    w = c->data;

    if (ev->timedout || c->close || !ngx_http_mesh_is_connected(c)) {
        ngx_http_mesh_warm_done(c);
        return;
    }

    if (!ev->write) {
        return;
    }

    if (ngx_ssl_create_connection(ngx_http_mesh_warm_ssl[w->protocol], c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK
        || ngx_http_mesh_tls_call(c, w->peer, w->protocol) != NGX_OK)
    {
        ngx_http_mesh_warm_done(c);
        return;
    }

    c->ssl->handler = ngx_http_mesh_warm_done;

    rc = ngx_ssl_handshake(c);

    if (rc != NGX_AGAIN) {
        ngx_http_mesh_warm_done(c);
    }
}


/* whether it may be pooled: table and bundle may have changed meanwhile */

static ngx_uint_t
ngx_http_mesh_warm_is_good(ngx_http_mesh_warm_t *w, ngx_connection_t *c)
{
    ngx_mesh_tls_t  *tls;

    tls = ngx_mesh_tls_get(c);

    return tls && c->ssl->handshaked
           && tls->result == NGX_MESH_HANDSHAKE_OK
           && !ngx_mesh_tls_is_stale(tls)
           && w->peer->mark == ngx_mesh.mark
           && !ngx_exiting && !ngx_terminate;
}


static void
ngx_http_mesh_warm_done(ngx_connection_t *c)
{
    ngx_uint_t             made;
    ngx_http_mesh_warm_t  *w;

    w = c->data;

    made = ngx_http_mesh_warm_is_good(w, c)
           && ngx_http_mesh_pool_put(w->peer, w->protocol, c,
                                     NGX_HTTP_MESH_WARM_IDLE, 1)
              == NGX_OK;

    if (!made) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0, "mesh: no connection "
                      "to %V was made before it is needed", &w->peer->name);
        ngx_http_mesh_pool_close(c);
    }

    ngx_http_mesh_warm_result(w, made);
}
