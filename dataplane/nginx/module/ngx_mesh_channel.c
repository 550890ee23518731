
/*
 * Reading records of a socket.  Many come by one read, into a buffer that all
 * connections share; a connection keeps only a record that has not come to
 * its end, and what its reader had no room for.
 */


#include "ngx_mesh_channel.h"
#include "ngx_mesh_identity.h"


/* NGX_DECLINED: OpenSSL goes on with it; else its object is of no use now */

ngx_int_t
ngx_mesh_channel_take(ngx_mesh_channel_t *ch, ngx_connection_t *c)
{
    return ngx_mesh_secrets_take(c, &ch->records) == NGX_OK ? NGX_OK
                                                            : NGX_DECLINED;
}


void
ngx_mesh_channel_free(ngx_mesh_channel_t *ch)
{
    ngx_mesh_records_free(&ch->records);
    ngx_mesh_channel_out_free(ch);

    if (ch->tail.start) {
        ngx_free(ch->tail.start);
    }

    if (ch->rest.start) {
        ngx_free(ch->rest.start);
    }
}


/* the peer is told why, if the socket takes it: the connection ends anyway */

static ngx_int_t
ngx_mesh_channel_fail(ngx_mesh_channel_t *ch, ngx_connection_t *c)
{
    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "mesh: TLS records end by alert %d, %s",
                  ch->records.alert,
                  ch->records.told ? "of the peer" : "of ours");

    if (!ch->records.told) {
        ngx_mesh_channel_tell(ch, c, ch->records.alert);
    }

    return NGX_ERROR;
}


/*
 * Whoever reads as long as there is something to read must not read this for
 * ever: nginx's relay does, until its other side is connected
 */

static ngx_int_t
ngx_mesh_channel_over(ngx_mesh_channel_t *ch, ngx_connection_t *c)
{
    ch->broken = 1;
    c->read->error = 1;
    c->read->ready = 0;

    return NGX_ERROR;
}


static ngx_int_t
ngx_mesh_channel_keep(ngx_mesh_kept_t *kept, ngx_connection_t *c,
    u_char *pos, u_char *last)
{
    if (pos == last) {
        return NGX_OK;
    }

    kept->start = ngx_alloc(last - pos, c->log);
    if (kept->start == NULL) {
        return NGX_ERROR;
    }

    kept->pos = kept->start;
    kept->last = ngx_cpymem(kept->start, pos, last - pos);

    return NGX_OK;
}


/* as much of it as there is room for; what is left can be read at once */

static size_t
ngx_mesh_channel_give(ngx_mesh_kept_t *kept, ngx_connection_t *c,
    u_char *buf, size_t size)
{
    size = ngx_min(size, (size_t) (kept->last - kept->pos));

    ngx_memcpy(buf, kept->pos, size);
    kept->pos += size;

    if (kept->pos == kept->last) {
        ngx_free(kept->start);
        kept->start = NULL;
    }

    c->read->ready = 1;

    return size;
}


/* the end of the first record, or NULL if that has not come yet */

static u_char *
ngx_mesh_channel_record(u_char *pos, u_char *last)
{
    size_t  size;

    if (last - pos < NGX_MESH_RECORD_HEADER) {
        return NULL;
    }

    size = NGX_MESH_RECORD_HEADER + (pos[3] << 8 | pos[4]);

    return (size_t) (last - pos) < size ? NULL : pos + size;
}


/*
 * As many records as "*to" has room for, and of one that is larger than all
 * of the room what fits; the rest is kept.
 */

static ngx_int_t
ngx_mesh_channel_open(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    u_char **from, u_char *last, u_char **to, u_char *end)
{
    u_char     *p, *record;
    ngx_int_t   rc;

    static u_char  plain[NGX_MESH_RECORD_MAX];

    p = *to;
    rc = ngx_mesh_records_open(&ch->records, from, last, to, end);

    if (rc != NGX_OK || *to != p) {
        return rc;
    }

    record = ngx_mesh_channel_record(*from, last);

    if (record == NULL) {
        return NGX_OK;
    }

    p = plain;
    rc = ngx_mesh_records_open(&ch->records, from, record, &p,
                               plain + sizeof(plain));

    if (rc == NGX_OK && p != plain) {

        if (ngx_mesh_channel_keep(&ch->rest, c, plain, p) != NGX_OK) {
            ch->records.alert = NGX_MESH_ALERT_INTERNAL_ERROR;
            return NGX_ERROR;
        }

        *to += ngx_mesh_channel_give(&ch->rest, c, *to, end - *to);
    }

    return rc;
}


/* what has been read already */

static u_char *
ngx_mesh_channel_again(ngx_mesh_channel_t *ch, u_char *in)
{
    if (ch->tail.start) {
        in = ngx_cpymem(in, ch->tail.pos, ch->tail.last - ch->tail.pos);
        ngx_free(ch->tail.start);
        ch->tail.start = NULL;
    }

    return in;
}


static ssize_t
ngx_mesh_channel_read(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    u_char *in, u_char *buf, size_t size)
{
    u_char     *pos, *last, *to;
    size_t      most;
    ssize_t     n;
    ngx_int_t   rc;
    ngx_uint_t  asked;

    to = buf;
    asked = 0;
    last = ngx_mesh_channel_again(ch, in);

    /* plaintext is never longer than its records */

    most = ngx_min(ngx_max(size, NGX_MESH_RECORD_MAX), NGX_MESH_BUFFER);

    for ( ;; ) {

        pos = in;
        rc = ngx_mesh_channel_open(ch, c, &pos, last, &to, buf + size);

        if (rc == NGX_ERROR) {
            return ngx_mesh_channel_fail(ch, c);
        }

        if (rc == NGX_DONE) {
            ch->closed = 1;
            c->read->ready = (to != buf);
            c->read->eof = (to == buf);
            return to - buf;
        }

        if (to != buf) {

            if (ngx_mesh_channel_record(pos, last)) {
                c->read->ready = 1;
            }

            rc = ngx_mesh_channel_keep(&ch->tail, c, pos, last);
            return rc == NGX_OK ? to - buf : NGX_ERROR;
        }

        ngx_memmove(in, pos, last - pos);
        last -= pos - in;

        /* records that held nothing leave others behind them */

        if (ngx_mesh_channel_record(in, last)) {
            continue;
        }

        n = (c->read->ready || !asked) ? ngx_recv(c, last, in + most - last)
                                       : NGX_AGAIN;
        asked = 1;

        if (n == NGX_AGAIN) {
            rc = ngx_mesh_channel_keep(&ch->tail, c, in, last);
            return rc == NGX_OK ? NGX_AGAIN : NGX_ERROR;
        }

        if (n == 0 && ch->bare_end && last == in) {
            ch->closed = 1;
            return 0;
        }

        if (n <= 0) {
            return NGX_ERROR;
        }

        last += n;
    }
}


/* as c->recv; an end without close_notify is an error, or "bare_end" */

ssize_t
ngx_mesh_channel_recv(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    u_char *buf, size_t size)
{
    u_char   *in;
    ssize_t   n;

    if (ch->rest.start) {
        return ngx_mesh_channel_give(&ch->rest, c, buf, size);
    }

    if (ch->broken) {
        return ngx_mesh_channel_over(ch, c);
    }

    if (ch->closed) {
        c->read->ready = 0;
        c->read->eof = 1;
        return 0;
    }

    in = ngx_mesh_buffer_take(c->log);
    if (in == NULL) {
        return NGX_ERROR;
    }

    n = ngx_mesh_channel_read(ch, c, in, buf, size);

    ngx_mesh_buffer_give(in);

    return n == NGX_ERROR ? ngx_mesh_channel_over(ch, c) : n;
}
