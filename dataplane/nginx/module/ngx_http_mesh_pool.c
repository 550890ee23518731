
/*
 * The pool of idle connections, per peer, newest first.  At most
 * NGX_HTTP_MESH_IDLE_MAX of a worker are kept; the oldest goes first.
 */


#include "ngx_http_mesh.h"


#define NGX_HTTP_MESH_IDLE_MAX       1024
#define NGX_HTTP_MESH_IDLE_PER_PEER  64

/* an endpoint that was not ready for a while comes back */
#define NGX_HTTP_MESH_IDLE_GONE      30000


typedef struct {
    ngx_queue_t               queue;         /* of the peer */
    ngx_queue_t               age;           /* of the worker */
    ngx_mesh_peer_t          *peer;
    ngx_mesh_protocol_e       protocol;      /* HTTP/1.1 or HTTP/2 */
    ngx_connection_t         *connection;
    unsigned                  unused:1;      /* no request was on it yet */
} ngx_http_mesh_idle_t;


static void ngx_http_mesh_idle_handler(ngx_event_t *ev);
static void ngx_http_mesh_idle_dummy(ngx_event_t *ev);


static ngx_queue_t  ngx_http_mesh_by_age;
static ngx_uint_t   ngx_http_mesh_nidle;


void
ngx_http_mesh_pool_init(void)
{
    ngx_queue_init(&ngx_http_mesh_by_age);
}


/* take it out of the pool; the peer may be gone after this */

static ngx_connection_t *
ngx_http_mesh_idle_remove(ngx_http_mesh_idle_t *idle)
{
    ngx_connection_t  *c;

    c = idle->connection;

    ngx_queue_remove(&idle->queue);
    ngx_queue_remove(&idle->age);

    ngx_http_mesh_nidle--;
    idle->peer->nidle--;
    ngx_mesh_peer_release(idle->peer);

    ngx_free(idle);

    return c;
}


/* a server of HTTP/2 begins to speak by itself (RFC 9113, 3.4) */

static ngx_uint_t
ngx_http_mesh_is_alive(ngx_http_mesh_idle_t *idle)
{
    int                n;
    u_char             buf[1];
    ngx_connection_t  *c;

    c = idle->connection;
    n = recv(c->fd, buf, 1, MSG_PEEK);

    if (n > 0 && idle->unused && idle->protocol == NGX_MESH_GRPC) {
        return !c->read->pending_eof;
    }

    return n == -1 && ngx_socket_errno == NGX_EAGAIN;
}


/* a connection that the other side has not closed, as far as we can know */

ngx_connection_t *
ngx_http_mesh_pool_get(ngx_mesh_peer_t *peer, ngx_mesh_protocol_e protocol,
    ngx_uint_t *unused)
{
    ngx_uint_t             alive;
    ngx_queue_t           *q, *next;
    ngx_mesh_tls_t        *tls;
    ngx_connection_t      *c;
    ngx_http_mesh_idle_t  *idle;

    for (q = ngx_queue_head(&peer->idle);
         q != ngx_queue_sentinel(&peer->idle);
         q = next)
    {
        next = ngx_queue_next(q);
        idle = ngx_queue_data(q, ngx_http_mesh_idle_t, queue);

        /* a port that is called as both, or has changed */

        if (idle->protocol != protocol) {
            continue;
        }

        alive = ngx_http_mesh_is_alive(idle);
        *unused = idle->unused;

        c = ngx_http_mesh_idle_remove(idle);
        tls = ngx_mesh_tls_get(c);

        if (alive && (tls == NULL || !ngx_mesh_tls_is_stale(tls))) {
            return c;
        }

        ngx_http_mesh_pool_close(c);
    }

    return NULL;
}


void
ngx_http_mesh_pool_adopt(ngx_peer_connection_t *pc)
{
    ngx_connection_t  *c;

    c = pc->connection;

    c->idle = 0;
    c->sent = 0;
    c->data = NULL;
    c->log = pc->log;
    c->read->log = pc->log;
    c->write->log = pc->log;
    c->pool->log = pc->log;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    pc->cached = 1;
}


ngx_int_t
ngx_http_mesh_pool_put(ngx_mesh_peer_t *peer, ngx_mesh_protocol_e protocol,
    ngx_connection_t *c, ngx_msec_t timeout, ngx_uint_t unused)
{
    ngx_http_mesh_idle_t  *idle, *oldest;

    if (peer->nidle >= NGX_HTTP_MESH_IDLE_PER_PEER
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    idle = ngx_alloc(sizeof(ngx_http_mesh_idle_t), c->log);
    if (idle == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_mesh_nidle >= NGX_HTTP_MESH_IDLE_MAX) {
        oldest = ngx_queue_data(ngx_queue_last(&ngx_http_mesh_by_age),
                                ngx_http_mesh_idle_t, age);
        ngx_http_mesh_pool_close(ngx_http_mesh_idle_remove(oldest));
    }

    idle->peer = peer;
    idle->protocol = protocol;
    idle->connection = c;
    idle->unused = unused;

    peer->refs++;
    peer->nidle++;
    ngx_http_mesh_nidle++;

    ngx_queue_insert_head(&peer->idle, &idle->queue);
    ngx_queue_insert_head(&ngx_http_mesh_by_age, &idle->age);

    c->read->delayed = 0;
    ngx_add_timer(c->read, timeout);

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->write->handler = ngx_http_mesh_idle_dummy;
    c->read->handler = ngx_http_mesh_idle_handler;

    c->data = idle;
    c->idle = 1;
    c->log = ngx_cycle->log;
    c->read->log = ngx_cycle->log;
    c->write->log = ngx_cycle->log;
    c->pool->log = ngx_cycle->log;

    if (c->read->ready) {
        ngx_http_mesh_idle_handler(c->read);
    }

    return NGX_OK;
}


static void
ngx_http_mesh_idle_dummy(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "mesh idle dummy handler");
}


/* timed out, told to close, closed by the other side, or talking unasked */

static void
ngx_http_mesh_idle_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (!c->close && !c->read->timedout && ngx_http_mesh_is_alive(c->data)) {
        ev->ready = 0;

        if (ngx_handle_read_event(c->read, 0) == NGX_OK) {
            return;
        }
    }

    ngx_http_mesh_pool_close(ngx_http_mesh_idle_remove(c->data));
}


void
ngx_http_mesh_pool_close(ngx_connection_t *c)
{
    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
            c->ssl->handler = ngx_http_mesh_pool_close;
            return;
        }
    }

    if (c->pool) {
        ngx_destroy_pool(c->pool);
    }

    ngx_close_connection(c);
}


/* a peer that no table ever named is our own application */

static ngx_uint_t
ngx_http_mesh_is_current(ngx_http_mesh_idle_t *idle)
{
    ngx_mesh_peer_t  *peer;

    peer = idle->peer;

    return peer->mark ? peer->mark == ngx_mesh.mark
                      : ngx_mesh_accepts(&peer->addr, idle->protocol);
}


/* how many connections of one protocol wait */

ngx_uint_t
ngx_http_mesh_pool_count(ngx_mesh_peer_t *peer, ngx_mesh_protocol_e protocol)
{
    ngx_uint_t             n;
    ngx_queue_t           *q;
    ngx_http_mesh_idle_t  *idle;

    n = 0;

    for (q = ngx_queue_head(&peer->idle);
         q != ngx_queue_sentinel(&peer->idle);
         q = ngx_queue_next(q))
    {
        idle = ngx_queue_data(q, ngx_http_mesh_idle_t, queue);
        n += (idle->protocol == protocol);
    }

    return n;
}


/* nobody uses it until then, but who names this place and identity again */

static void
ngx_http_mesh_idle_keep(ngx_http_mesh_idle_t *idle)
{
    ngx_event_t  *ev;

    ev = idle->connection->read;

    if ((ngx_msec_int_t) (ev->timer.key - ngx_current_msec)
        > NGX_HTTP_MESH_IDLE_GONE)
    {
        ngx_add_timer(ev, NGX_HTTP_MESH_IDLE_GONE);
    }
}


static void
ngx_http_mesh_peer_sweep(ngx_mesh_peer_t *peer)
{
    ngx_uint_t             current, stale[NGX_MESH_GRPC + 1];
    ngx_queue_t           *q, *next;
    ngx_mesh_tls_t        *tls;
    ngx_http_mesh_idle_t  *idle;

    ngx_memzero(stale, sizeof(stale));

    /* the last connection that goes may take the peer along */

    peer->refs++;

    for (q = ngx_queue_head(&peer->idle);
         q != ngx_queue_sentinel(&peer->idle);
         q = next)
    {
        next = ngx_queue_next(q);
        idle = ngx_queue_data(q, ngx_http_mesh_idle_t, queue);
        tls = ngx_mesh_tls_get(idle->connection);

        current = ngx_http_mesh_is_current(idle);

        if (tls && ngx_mesh_tls_is_stale(tls)) {
            stale[idle->protocol] += current;
            ngx_http_mesh_pool_close(ngx_http_mesh_idle_remove(idle));

        } else if (!current && peer->mark && !ngx_mesh.table->transparent) {
            ngx_http_mesh_idle_keep(idle);

        } else if (!current) {
            ngx_http_mesh_pool_close(ngx_http_mesh_idle_remove(idle));
        }
    }

    ngx_http_mesh_warm(peer, NGX_MESH_HTTP, stale[NGX_MESH_HTTP], 0);
    ngx_http_mesh_warm(peer, NGX_MESH_GRPC, stale[NGX_MESH_GRPC], 0);

    ngx_mesh_peer_release(peer);
}


/* after a change of the table or of the bundle */

void
ngx_http_mesh_pool_sweep(void)
{
    ngx_mesh_peer_each(ngx_http_mesh_peer_sweep);
}
