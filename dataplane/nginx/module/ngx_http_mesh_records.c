
/*
 * HTTP of peers on records of our own (docs/adr/0017): after the handshake
 * the connection goes on without OpenSSL's object, of which an idle one would
 * hold twenty kilobytes.  nginx sees a connection without TLS from then on;
 * who the peer is has been remembered (ngx_mesh_tls_t).
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_channel.h"


typedef struct {
    ngx_mesh_channel_t        channel;
    ngx_event_t               event;         /* to come between */
    ngx_connection_handler_pt handshaked;    /* nginx's own */
    ngx_mesh_tls_t           *peer;          /* once OpenSSL is not asked */
    unsigned                  http2:1;
    unsigned                  used:1;        /* OpenSSL's object is gone */
    unsigned                  answering:1;   /* an answer is not complete */
} ngx_http_mesh_records_t;


static void ngx_http_mesh_records_between(ngx_event_t *ev);
static void ngx_http_mesh_records_begin(ngx_connection_t *c);
static ssize_t ngx_http_mesh_records_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_http_mesh_records_recv_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static ssize_t ngx_http_mesh_records_send(ngx_connection_t *c, u_char *buf,
    size_t size);
static ngx_chain_t *ngx_http_mesh_records_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static ngx_int_t ngx_http_mesh_records_close(ngx_connection_t *c,
    ngx_uint_t flags);


static ngx_int_t  (*ngx_http_mesh_records_del)(ngx_connection_t *c,
    ngx_uint_t flags);


/* nginx tells nobody of a connection's end while it can be written to */

void
ngx_http_mesh_records_init(void)
{
    if (ngx_event_actions.del_conn != ngx_http_mesh_records_close) {
        ngx_http_mesh_records_del = ngx_event_actions.del_conn;
        ngx_event_actions.del_conn = ngx_http_mesh_records_close;
    }
}


static void
ngx_http_mesh_records_cleanup(void *data)
{
    ngx_http_mesh_records_t  *rs = data;

    if (rs->event.posted) {
        ngx_delete_posted_event(&rs->event);
    }

    ngx_mesh_channel_free(&rs->channel);
}


static ngx_http_mesh_records_t *
ngx_http_mesh_records_find(ngx_connection_t *c)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_mesh_records_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/* all that the client says after its hello is read in another call */

static long
ngx_http_mesh_records_wait(BIO *bio, int operation, const char *argp,
    size_t len, int argi, long argl, int ret, size_t *processed)
{
    if (operation != BIO_CB_READ) {
        return ret;
    }

    BIO_set_retry_read(bio);

    return -1;
}


/*
 * nginx says what is to come after a handshake only once this call of OpenSSL
 * is over, which then must not be that of the whole handshake.  Where nothing
 * can be had for this, OpenSSL goes on.
 */

void
ngx_http_mesh_records_hello(ngx_connection_t *c)
{
    ngx_event_t              *ev;
    ngx_pool_cleanup_t       *cln;
    ngx_http_mesh_records_t  *rs;

    /* a client that is asked to retry says hello twice */

    if (ngx_http_mesh_records_find(c)) {
        return;
    }

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_http_mesh_records_t));
    if (cln == NULL) {
        return;
    }

    rs = cln->data;
    ngx_memzero(rs, sizeof(ngx_http_mesh_records_t));

    cln->handler = ngx_http_mesh_records_cleanup;

    ev = &rs->event;
    ev->data = c;
    ev->log = c->log;
    ev->handler = ngx_http_mesh_records_between;

    ngx_post_event(ev, &ngx_posted_events);

    BIO_set_callback_ex(SSL_get_rbio(c->ssl->connection),
                        ngx_http_mesh_records_wait);
}


static void
ngx_http_mesh_records_between(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_mesh_records_t  *rs;

    c = ev->data;

    if (c->ssl == NULL) {
        return;
    }

    BIO_set_callback_ex(SSL_get_rbio(c->ssl->connection), NULL);

    /* the handshake failed in that call */

    if (c->ssl->handler == NULL) {
        return;
    }

    rs = ngx_http_mesh_records_find(c);

    rs->handshaked = c->ssl->handler;
    c->ssl->handler = ngx_http_mesh_records_begin;
}


static ngx_uint_t
ngx_http_mesh_records_is_http2(SSL *ssl)
{
    unsigned int          len;
    const unsigned char  *data;

    SSL_get0_alpn_selected(ssl, &data, &len);

    return len == 2 && ngx_memcmp(data, "h2", 2) == 0;
}


/* nginx looks at OpenSSL's object once more, and then reads */

static void
ngx_http_mesh_records_begin(ngx_connection_t *c)
{
    ngx_mesh_tls_t           *tls;
    ngx_http_connection_t    *hc;
    ngx_http_mesh_records_t  *rs;

    rs = ngx_http_mesh_records_find(c);
    tls = ngx_mesh_tls_get(c);

    if (c->ssl->handshaked
        && tls->identity.len
        && ngx_mesh_tls_names(tls, c->ssl->connection) == NGX_OK
        && ngx_mesh_channel_take(&rs->channel, c) == NGX_OK)
    {
        rs->peer = tls;
        rs->http2 = ngx_http_mesh_records_is_http2(c->ssl->connection);

        /* HTTP says itself whether a message is complete */

        rs->channel.bare_end = 1;
        rs->channel.frugal = 1;

        c->recv = ngx_http_mesh_records_recv;
        c->recv_chain = ngx_http_mesh_records_recv_chain;
        c->send = ngx_http_mesh_records_send;
        c->send_chain = ngx_http_mesh_records_send_chain;

        /* an answer may end with nothing, and nginx must not miss TLS */

        c->need_last_buf = !rs->http2;

        hc = c->data;
        hc->ssl = 0;
    }

    rs->handshaked(c);
}


/* who called, with OpenSSL's part of the connection or without; or NULL */

ngx_mesh_tls_t *
ngx_http_mesh_records_peer(ngx_connection_t *c)
{
    ngx_http_mesh_records_t  *rs;

    if (c->ssl) {
        return ngx_mesh_tls_get(c);
    }

    rs = ngx_http_mesh_records_find(c);

    return rs ? rs->peer : NULL;
}


static ngx_http_mesh_records_t *
ngx_http_mesh_records_of(ngx_connection_t *c)
{
    ngx_http_mesh_records_t  *rs;

    rs = ngx_http_mesh_records_find(c);

    if (c->ssl) {
        SSL_free(c->ssl->connection);
        c->ssl = NULL;
        rs->used = 1;
    }

    return rs;
}


static ssize_t
ngx_http_mesh_records_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ngx_http_mesh_records_t  *rs;

    rs = ngx_http_mesh_records_of(c);

    return ngx_mesh_channel_recv(&rs->channel, c, buf, size);
}


/* into the first buffer: whoever reads comes again while there is more */

static ssize_t
ngx_http_mesh_records_recv_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    size_t  size;

    size = in->buf->end - in->buf->last;

    if (limit && (off_t) size > limit) {
        size = limit;
    }

    return ngx_http_mesh_records_recv(c, in->buf->last, size);
}


static ssize_t
ngx_http_mesh_records_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    ngx_http_mesh_records_t  *rs;

    rs = ngx_http_mesh_records_of(c);

    return rs->channel.ended
           ? NGX_ERROR
           : ngx_mesh_channel_send(&rs->channel, c, buf, size);
}


/* the connection's last answer ends with close_notify, and only if whole */

static ngx_chain_t *
ngx_http_mesh_records_answer(ngx_http_mesh_records_t *rs, ngx_connection_t *c,
    ngx_chain_t *in)
{
    ngx_uint_t           last;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = c->data;
    last = 0;

    for (cl = in; cl; cl = cl->next) {
        last |= cl->buf->last_buf;
        rs->answering = 1;
    }

    rs->channel.last_ends = !r->main->keepalive;

    cl = ngx_mesh_channel_send_chain(&rs->channel, c, in);

    if (last && cl == NULL) {
        rs->answering = 0;
    }

    return cl;
}


static ngx_chain_t *
ngx_http_mesh_records_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    ngx_chain_t              *cl;
#if (NGX_HTTP_V2)
    ngx_http_v2_connection_t *h2c;
#endif
    ngx_http_mesh_records_t  *rs;

    rs = ngx_http_mesh_records_of(c);

    if (rs->channel.ended && in) {
        return NGX_CHAIN_ERROR;
    }

    if (!rs->http2) {
        return ngx_http_mesh_records_answer(rs, c, in);
    }

    cl = ngx_mesh_channel_send_chain(&rs->channel, c, in);

#if (NGX_HTTP_V2)
    h2c = c->data;

    if (cl == NULL && h2c->goaway && h2c->processing == 0) {
        ngx_mesh_channel_tell(&rs->channel, c, NGX_MESH_ALERT_CLOSE_NOTIFY);
    }
#endif

    return cl;
}


/* as ngx_ssl_shutdown() would; the socket is closed after this */

static ngx_int_t
ngx_http_mesh_records_close(ngx_connection_t *c, ngx_uint_t flags)
{
    ngx_http_mesh_records_t  *rs;

    if (c->send == ngx_http_mesh_records_send) {
        rs = ngx_http_mesh_records_find(c);

        if (rs->used && !rs->answering
            && !c->error && !c->timedout && !c->buffered)
        {
            ngx_mesh_channel_tell(&rs->channel, c,
                                  NGX_MESH_ALERT_CLOSE_NOTIFY);
        }
    }

    return ngx_http_mesh_records_del(c, flags);
}
