
/*
 * Records of our own on a socket: what relayed TLS becomes once OpenSSL has
 * made the handshake.  Many records go by one write and come by one read, by
 * way of buffers that all connections share; a connection keeps only what
 * the socket did not take, and a record that has not come to its end.
 */


#include "ngx_stream_mesh.h"
#include "ngx_mesh_record.h"


struct ngx_stream_mesh_records_s {
    ngx_mesh_records_t        records;
    ngx_str_t                 tail;          /* of a record, as it came */
    u_char                   *out;           /* buffer, while it has bytes */
    u_char                   *pos;           /* of these, not yet written */
    u_char                   *last;
    unsigned                  closed:1;      /* close_notify came */
    unsigned                  ended:1;       /* close_notify is written */
    unsigned                  broken:1;
};


/* NULL: OpenSSL goes on with it, or there is no TLS */

ngx_stream_mesh_records_t *
ngx_stream_mesh_records_take(ngx_connection_t *c)
{
    ngx_stream_mesh_records_t  *rs;

    if (c->ssl == NULL) {
        return NULL;
    }

    rs = ngx_calloc(sizeof(ngx_stream_mesh_records_t), c->log);
    if (rs == NULL) {
        return NULL;
    }

    if (ngx_mesh_secrets_take(c, &rs->records) != NGX_OK) {
        ngx_free(rs);
        return NULL;
    }

    SSL_free(c->ssl->connection);
    c->ssl = NULL;

    return rs;
}


void
ngx_stream_mesh_records_free(ngx_stream_mesh_records_t *rs)
{
    ngx_mesh_records_free(&rs->records);

    if (rs->tail.len) {
        ngx_free(rs->tail.data);
    }

    if (rs->out) {
        ngx_stream_mesh_buffer_give(rs->out);
    }

    ngx_free(rs);
}


/* the peer is told why, if the socket takes it: the connection ends anyway */

static ngx_int_t
ngx_stream_mesh_records_fail(ngx_stream_mesh_records_t *rs,
    ngx_connection_t *c)
{
    u_char  *last, record[NGX_MESH_RECORD_ALERT];

    rs->broken = 1;
    c->read->error = 1;
    c->read->ready = 0;

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "mesh: TLS records end by alert %d, %s",
                  rs->records.alert,
                  rs->records.told ? "of the peer" : "of ours");

    if (!rs->records.told && rs->out == NULL && !rs->ended) {

        last = ngx_mesh_record_alert(&rs->records, record, rs->records.alert);

        if (last) {
            (void) send(c->fd, record, last - record, 0);
        }
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_stream_mesh_records_keep(ngx_stream_mesh_records_t *rs,
    ngx_connection_t *c, u_char *pos, u_char *last)
{
    if (pos == last) {
        return NGX_OK;
    }

    rs->tail.data = ngx_alloc(last - pos, c->log);
    if (rs->tail.data == NULL) {
        return NGX_ERROR;
    }

    rs->tail.len = last - pos;
    ngx_memcpy(rs->tail.data, pos, rs->tail.len);

    return NGX_OK;
}


/*
 * As c->recv; an end without close_notify is an error.  Plaintext is never
 * longer than its records: "size" is what is read of the socket, too.
 */

ssize_t
ngx_stream_mesh_records_recv(ngx_stream_mesh_records_t *rs,
    ngx_connection_t *c, u_char *buf, size_t size)
{
    size_t     have;
    u_char    *in, *pos, *to;
    ssize_t    n;
    ngx_int_t  rc;

    if (rs->broken) {
        return NGX_ERROR;
    }

    if (rs->closed) {
        c->read->ready = 0;
        c->read->eof = 1;
        return 0;
    }

    if (size < NGX_MESH_RECORD_MAX) {
        return NGX_AGAIN;    /* the caller writes first */
    }

    size = ngx_min(size, NGX_STREAM_MESH_BUFFER);

    in = ngx_stream_mesh_buffer_take(c->log);
    if (in == NULL) {
        return NGX_ERROR;
    }

    have = rs->tail.len;

    if (have) {
        ngx_memcpy(in, rs->tail.data, have);
        ngx_free(rs->tail.data);
        rs->tail.len = 0;
    }

    to = buf;

    for ( ;; ) {

        n = ngx_recv(c, in + have, size - have);

        if (n == NGX_AGAIN) {
            rc = ngx_stream_mesh_records_keep(rs, c, in, in + have);
            n = (rc == NGX_OK) ? NGX_AGAIN : NGX_ERROR;
            break;
        }

        if (n <= 0) {
            rs->broken = 1;
            n = NGX_ERROR;
            break;
        }
        have += n;
        pos = in;

        rc = ngx_mesh_records_open(&rs->records, &pos, in + have, &to,
                                   buf + size);

        if (rc == NGX_ERROR) {
            n = ngx_stream_mesh_records_fail(rs, c);
            break;
        }

        if (rc == NGX_DONE) {
            rs->closed = 1;
            c->read->ready = (to != buf);
            c->read->eof = (to == buf);
            n = to - buf;
            break;
        }

        have = in + have - pos;

        if (to != buf || !c->read->ready) {
            rc = ngx_stream_mesh_records_keep(rs, c, pos, pos + have);
            n = (rc == NGX_OK) ? to - buf : NGX_ERROR;
            n = (n == 0) ? NGX_AGAIN : n;
            break;
        }

        ngx_memmove(in, pos, have);
    }

    ngx_stream_mesh_buffer_give(in);

    return n;
}


/* NGX_AGAIN: the socket takes no more just now */

static ngx_int_t
ngx_stream_mesh_records_flush(ngx_stream_mesh_records_t *rs,
    ngx_connection_t *c)
{
    ssize_t    n;
    ngx_err_t  err;

    if (rs->pos != rs->last) {

        do {
            n = send(c->fd, rs->pos, rs->last - rs->pos, 0);
            err = (n == -1) ? ngx_socket_errno : 0;

        } while (err == NGX_EINTR);

        if (err && err != NGX_EAGAIN) {
            c->write->ready = 0;
            c->write->error = 1;
            (void) ngx_connection_error(c, err, "send() failed");

            return NGX_ERROR;
        }

        rs->pos += ngx_max(n, 0);

        if (rs->pos != rs->last) {
            c->write->ready = 0;
            return NGX_AGAIN;
        }
    }

    ngx_stream_mesh_buffer_give(rs->out);
    rs->out = NULL;

    return NGX_OK;
}


/* up to a record's plaintext */

static size_t
ngx_stream_mesh_records_size(ngx_chain_t *in)
{
    size_t  size;

    for (size = 0; in && size < NGX_MESH_RECORD_PLAIN; in = in->next) {
        size += in->buf->last - in->buf->pos;
    }

    return ngx_min(size, NGX_MESH_RECORD_PLAIN);
}


/* a record of the chain's first "size" bytes */

static u_char *
ngx_stream_mesh_records_seal(ngx_mesh_records_t *r, u_char *to,
    ngx_chain_t *cl, size_t size)
{
    size_t      n;
    ngx_buf_t  *b;

    to = ngx_mesh_record_begin(r, to, size);

    for ( /* void */ ; to && size; cl = cl->next) {

        b = cl->buf;
        n = ngx_min(size, (size_t) (b->last - b->pos));

        if (n) {
            to = ngx_mesh_record_add(r, to, b->pos, n);
            b->pos += n;
            size -= n;
        }
    }

    return to ? ngx_mesh_record_end(r, to, NGX_MESH_RECORD_IS_DATA) : NULL;
}


/* as many records as a buffer takes; the end of the bytes is one, too */

static ngx_int_t
ngx_stream_mesh_records_fill(ngx_stream_mesh_records_t *rs,
    ngx_connection_t *c, ngx_chain_t **in)
{
    size_t   size;
    u_char  *to, *end;

    to = rs->out;
    end = rs->out + NGX_STREAM_MESH_BUFFER_SIZE - NGX_MESH_RECORD_ALERT;

    while (*in) {

        size = ngx_stream_mesh_records_size(*in);

        if (size) {

            if ((size_t) (end - to) < size + NGX_MESH_RECORD_OVERHEAD
                                      + NGX_MESH_RECORD_UPDATE)
            {
                break;
            }

            to = ngx_stream_mesh_records_seal(&rs->records, to, *in, size);

            if (to == NULL) {
                return NGX_ERROR;
            }

            c->sent += size;
        }

        for ( /* void */ ; *in; *in = (*in)->next) {

            if ((*in)->buf->pos != (*in)->buf->last) {
                break;
            }

            if ((*in)->buf->last_buf && !rs->ended) {

                rs->ended = 1;

                to = ngx_mesh_record_alert(&rs->records, to,
                                           NGX_MESH_ALERT_CLOSE_NOTIFY);
                if (to == NULL) {
                    return NGX_ERROR;
                }
            }
        }
    }

    rs->pos = rs->out;
    rs->last = to;

    return NGX_OK;
}


/* as c->send_chain; c->buffered says whether records are not yet written */

ngx_chain_t *
ngx_stream_mesh_records_send(ngx_stream_mesh_records_t *rs,
    ngx_connection_t *c, ngx_chain_t *in)
{
    ngx_int_t  rc;

    for ( ;; ) {

        if (rs->out) {

            rc = c->write->ready ? ngx_stream_mesh_records_flush(rs, c)
                                 : NGX_AGAIN;

            if (rc == NGX_AGAIN) {
                c->buffered |= NGX_SSL_BUFFERED;
                return in;
            }

            if (rc == NGX_ERROR) {
                return NGX_CHAIN_ERROR;
            }
        }

        c->buffered &= ~NGX_SSL_BUFFERED;

        if (in == NULL || !c->write->ready) {
            return in;
        }

        rs->out = ngx_stream_mesh_buffer_take(c->log);

        if (rs->out == NULL
            || ngx_stream_mesh_records_fill(rs, c, &in) != NGX_OK)
        {
            rs->broken = 1;
            return NGX_CHAIN_ERROR;
        }
    }
}
