
/*
 * Writing records to a socket.  Many go by one write, sealed out of the
 * plaintext into a buffer that all connections share; a connection keeps only
 * what the socket did not take.
 */


#include "ngx_mesh_channel.h"


void
ngx_mesh_channel_out_free(ngx_mesh_channel_t *ch)
{
    if (ch->out.start == NULL) {
        return;
    }

    if (ch->copied) {
        ngx_free(ch->out.start);

    } else {
        ngx_mesh_buffer_give(ch->out.start);
    }

    ch->out.start = NULL;
    ch->copied = 0;
}


/* a connection that waits holds what it has to write, and no whole buffer */

static void
ngx_mesh_channel_shrink(ngx_mesh_channel_t *ch, ngx_connection_t *c)
{
    size_t   size;
    u_char  *p;

    size = ch->out.last - ch->out.pos;

    p = ngx_alloc(size, c->log);
    if (p == NULL) {
        return;
    }

    ngx_memcpy(p, ch->out.pos, size);
    ngx_mesh_buffer_give(ch->out.start);

    ch->out.start = p;
    ch->out.pos = p;
    ch->out.last = p + size;
    ch->copied = 1;
}


/* NGX_AGAIN: the socket takes no more just now */

static ngx_int_t
ngx_mesh_channel_flush(ngx_mesh_channel_t *ch, ngx_connection_t *c)
{
    ssize_t    n;
    ngx_err_t  err;

    if (ch->out.pos != ch->out.last) {

        do {
            n = send(c->fd, ch->out.pos, ch->out.last - ch->out.pos, 0);
            err = (n == -1) ? ngx_socket_errno : 0;

        } while (err == NGX_EINTR);

        if (err && err != NGX_EAGAIN) {
            c->write->ready = 0;
            c->write->error = 1;
            (void) ngx_connection_error(c, err, "send() failed");

            return NGX_ERROR;
        }

        ch->out.pos += ngx_max(n, 0);

        if (ch->out.pos != ch->out.last) {
            c->write->ready = 0;

            if (ch->frugal && !ch->copied) {
                ngx_mesh_channel_shrink(ch, c);
            }

            return NGX_AGAIN;
        }
    }

    ngx_mesh_channel_out_free(ch);

    return NGX_OK;
}


/* up to a record's plaintext */

static size_t
ngx_mesh_channel_size(ngx_chain_t *in)
{
    size_t  size;

    for (size = 0; in && size < NGX_MESH_RECORD_PLAIN; in = in->next) {
        size += in->buf->last - in->buf->pos;
    }

    return ngx_min(size, NGX_MESH_RECORD_PLAIN);
}


/* a record of the chain's first "size" bytes */

static u_char *
ngx_mesh_channel_seal(ngx_mesh_records_t *r, u_char *to, ngx_chain_t *cl,
    size_t size)
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


/* as many records as a buffer takes; the end of the bytes may be one, too */

static ngx_int_t
ngx_mesh_channel_fill(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    ngx_chain_t **in)
{
    size_t   size;
    u_char  *to, *end;

    ch->out.start = ngx_mesh_buffer_take(c->log);
    if (ch->out.start == NULL) {
        return NGX_ERROR;
    }

    to = ch->out.start;
    end = to + NGX_MESH_BUFFER_SIZE - NGX_MESH_RECORD_ALERT;

    while (*in) {

        size = ngx_mesh_channel_size(*in);

        if (size) {

            if ((size_t) (end - to) < size + NGX_MESH_RECORD_OVERHEAD
                                      + NGX_MESH_RECORD_UPDATE)
            {
                break;
            }

            to = ngx_mesh_channel_seal(&ch->records, to, *in, size);

            if (to == NULL) {
                return NGX_ERROR;
            }

            c->sent += size;
        }

        for ( /* void */ ; *in; *in = (*in)->next) {

            if ((*in)->buf->pos != (*in)->buf->last) {
                break;
            }

            if ((*in)->buf->last_buf && ch->last_ends && !ch->ended) {

                ch->ended = 1;

                to = ngx_mesh_record_alert(&ch->records, to,
                                           NGX_MESH_ALERT_CLOSE_NOTIFY);
                if (to == NULL) {
                    return NGX_ERROR;
                }
            }
        }
    }

    ch->out.pos = ch->out.start;
    ch->out.last = to;

    return NGX_OK;
}


/* NGX_AGAIN: what was sealed before is not yet written */

static ngx_int_t
ngx_mesh_channel_written(ngx_mesh_channel_t *ch, ngx_connection_t *c)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (ch->out.start) {
        rc = c->write->ready ? ngx_mesh_channel_flush(ch, c) : NGX_AGAIN;
    }

    if (rc == NGX_OK) {
        c->buffered &= ~NGX_SSL_BUFFERED;
    }

    return rc;
}


/* as c->send_chain; c->buffered says whether records are not yet written */

ngx_chain_t *
ngx_mesh_channel_send_chain(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    ngx_chain_t *in)
{
    ngx_int_t  rc;

    for ( ;; ) {

        rc = ngx_mesh_channel_written(ch, c);

        if (rc == NGX_AGAIN) {
            c->buffered |= NGX_SSL_BUFFERED;
            return in;
        }

        if (rc == NGX_ERROR) {
            return NGX_CHAIN_ERROR;
        }

        if (in == NULL || !c->write->ready) {
            return in;
        }

        if (ngx_mesh_channel_fill(ch, c, &in) != NGX_OK) {
            ch->broken = 1;
            return NGX_CHAIN_ERROR;
        }
    }
}


/*
 * As c->send.  Whoever calls it keeps the bytes until they are written, and
 * comes again with them: they are sealed once.
 */

ssize_t
ngx_mesh_channel_send(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    u_char *data, size_t size)
{
    size_t        n;
    ngx_buf_t     b;
    ngx_int_t     rc;
    ngx_chain_t   out, *in;

    for ( ;; ) {

        rc = ngx_mesh_channel_written(ch, c);

        if (rc != NGX_OK) {
            return rc;
        }

        if (ch->promised || size == 0) {
            n = ch->promised;
            ch->promised = 0;
            return n;
        }

        if (!c->write->ready) {
            return NGX_AGAIN;
        }

        ngx_memzero(&b, sizeof(ngx_buf_t));

        b.pos = data;
        b.last = data + size;
        b.memory = 1;

        out.buf = &b;
        out.next = NULL;
        in = &out;

        if (ngx_mesh_channel_fill(ch, c, &in) != NGX_OK) {
            ch->broken = 1;
            return NGX_ERROR;
        }

        ch->promised = b.pos - data;
    }
}


/* if the socket takes it; nothing can be said after it */

void
ngx_mesh_channel_tell(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    ngx_mesh_alert_e alert)
{
    u_char  *last, record[NGX_MESH_RECORD_ALERT];

    if (ch->out.start || ch->ended || ch->broken) {
        return;
    }

    ch->ended = 1;

    last = ngx_mesh_record_alert(&ch->records, record, alert);

    if (last) {
        (void) send(c->fd, record, last - record, 0);
    }
}
