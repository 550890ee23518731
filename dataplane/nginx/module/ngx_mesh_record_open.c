
/*
 * Reading records: what a peer sends after the handshake.  Everything that
 * it may not send is told as an alert (RFC 8446, 6.2) and ends the connection.
 */


#include "ngx_mesh_record.h"


#define NGX_MESH_NEW_SESSION_TICKET  4
#define NGX_MESH_KEY_UPDATE          24

/* a ticket and all that may stand beside it (RFC 8446, 4.6.1) */
#define NGX_MESH_TICKET_MAX          (2 * 65536 + 512)


static ngx_int_t
ngx_mesh_record_refuse(ngx_mesh_records_t *r, ngx_mesh_alert_e alert)
{
    r->alert = alert;

    return NGX_ERROR;
}


/* what is left of the plaintext is the record's inner plaintext */

static ngx_int_t
ngx_mesh_record_decrypt(ngx_mesh_records_t *r, u_char *record, size_t size,
    u_char *to)
{
    int      n;
    u_char  *data, nonce[NGX_MESH_RECORD_IV];

    ngx_mesh_record_nonce(&r->in, nonce);

    data = record + NGX_MESH_RECORD_HEADER;

    if (EVP_DecryptInit_ex(r->in.cipher, NULL, NULL, NULL, nonce) != 1
        || EVP_DecryptUpdate(r->in.cipher, NULL, &n, record,
                             NGX_MESH_RECORD_HEADER)
           != 1
        || EVP_DecryptUpdate(r->in.cipher, to, &n, data, (int) size) != 1
        || EVP_CIPHER_CTX_ctrl(r->in.cipher, EVP_CTRL_AEAD_SET_TAG,
                               NGX_MESH_RECORD_TAG, data + size)
           != 1
        || EVP_DecryptFinal_ex(r->in.cipher, to + size, &n) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* NGX_DONE: the peer has said all that it has to say */

static ngx_int_t
ngx_mesh_record_read_alert(ngx_mesh_records_t *r, u_char *data, size_t size)
{
    if (size != 2) {
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_DECODE_ERROR);
    }

    switch (data[1]) {

    case NGX_MESH_ALERT_CLOSE_NOTIFY:
        return NGX_DONE;

    case NGX_MESH_ALERT_USER_CANCELED:
        return NGX_OK;

    default:
        r->told = 1;
        return ngx_mesh_record_refuse(r, data[1]);
    }
}


/* type and size of a message are known */

static ngx_int_t
ngx_mesh_record_begin_message(ngx_mesh_records_t *r)
{
    size_t  size;

    size = r->message[1] << 16 | r->message[2] << 8 | r->message[3];

    switch (r->message[0]) {

    case NGX_MESH_KEY_UPDATE:
        if (size != 1) {
            return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_DECODE_ERROR);
        }

        break;

    case NGX_MESH_NEW_SESSION_TICKET:
        if (r->is_server) {
            return ngx_mesh_record_refuse(r,
                                          NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
        }

        if (size == 0 || size > NGX_MESH_TICKET_MAX) {
            return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_DECODE_ERROR);
        }

        break;

    default:
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
    }

    r->message_left = size;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_record_read_update(ngx_mesh_records_t *r, u_char wanted)
{
    if (wanted > 1) {
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_ILLEGAL_PARAMETER);
    }

    if (ngx_mesh_record_key_update(&r->in) != NGX_OK) {
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_INTERNAL_ERROR);
    }

    if (wanted) {
        r->answer = 1;
    }

    return NGX_OK;
}


/* tickets are skipped: sessions are never resumed */

static ngx_int_t
ngx_mesh_record_read_handshake(ngx_mesh_records_t *r, u_char *data,
    size_t size)
{
    size_t   n;
    u_char  *last;

    if (size == 0) {
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
    }

    for (last = data + size; data < last; /* void */ ) {

        if (r->message_left == 0) {

            r->message[r->nmessage++] = *data++;

            if (r->nmessage == sizeof(r->message)
                && ngx_mesh_record_begin_message(r) != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        n = ngx_min(r->message_left, (size_t) (last - data));
        data += n;
        r->message_left -= n;

        if (r->message_left) {
            continue;
        }

        r->nmessage = 0;

        if (r->message[0] != NGX_MESH_KEY_UPDATE) {
            continue;
        }

        /* what follows has another key, so nothing may follow here */

        if (data != last) {
            return ngx_mesh_record_refuse(r,
                                          NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
        }

        return ngx_mesh_record_read_update(r, data[-1]);
    }

    return NGX_OK;
}


/* "*to" moves by what was for the application */

static ngx_int_t
ngx_mesh_record_read(ngx_mesh_records_t *r, u_char **to, size_t size)
{
    u_char      type, *data;
    ngx_int_t   rc;

    data = *to;

    /* the last byte that is not padding is the type */

    while (size && data[size - 1] == 0) {
        size--;
    }

    if (size == 0) {
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
    }

    type = data[--size];

    if (size > NGX_MESH_RECORD_PLAIN) {
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_RECORD_OVERFLOW);
    }

    if (r->nmessage && type != NGX_MESH_RECORD_IS_HANDSHAKE) {
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
    }

    switch (type) {

    case NGX_MESH_RECORD_IS_DATA:
        *to += size;
        rc = NGX_OK;

        if (size) {
            r->quiet = 0;
            return NGX_OK;
        }

        break;

    case NGX_MESH_RECORD_IS_ALERT:
        rc = ngx_mesh_record_read_alert(r, data, size);
        break;

    case NGX_MESH_RECORD_IS_HANDSHAKE:
        rc = ngx_mesh_record_read_handshake(r, data, size);
        break;

    default:
        rc = ngx_mesh_record_refuse(r, NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
    }

    if (rc == NGX_OK && ++r->quiet > NGX_MESH_RECORD_QUIET_MAX) {
        return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
    }

    return rc;
}


/*
 * Read every whole record of "*from" to "last" and move "*from" behind it;
 * what the records hold for the application goes to "*to", which moves, too.
 * As many bytes of room as of records are enough.
 *
 * NGX_OK     more may come
 * NGX_DONE   close_notify: nothing that follows counts
 * NGX_ERROR  r->alert says why
 */

ngx_int_t
ngx_mesh_records_open(ngx_mesh_records_t *r, u_char **from, u_char *last,
    u_char **to, u_char *end)
{
    size_t      size;
    u_char     *p;
    ngx_int_t   rc;

    for (p = *from; last - p >= NGX_MESH_RECORD_HEADER; *from = p) {

        if (p[0] != NGX_MESH_RECORD_IS_DATA) {
            return ngx_mesh_record_refuse(r,
                                          NGX_MESH_ALERT_UNEXPECTED_MESSAGE);
        }

        size = p[3] << 8 | p[4];

        if (size > NGX_MESH_RECORD_MAX - NGX_MESH_RECORD_HEADER) {
            return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_RECORD_OVERFLOW);
        }

        if (size < 1 + NGX_MESH_RECORD_TAG) {
            return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_BAD_RECORD_MAC);
        }

        if ((size_t) (last - p) < NGX_MESH_RECORD_HEADER + size) {
            return NGX_OK;
        }

        size -= NGX_MESH_RECORD_TAG;

        if ((size_t) (end - *to) < size) {
            return NGX_OK;
        }

        if (ngx_mesh_record_decrypt(r, p, size, *to) != NGX_OK) {
            return ngx_mesh_record_refuse(r, NGX_MESH_ALERT_BAD_RECORD_MAC);
        }

        rc = ngx_mesh_record_read(r, to, size);

        if (rc != NGX_OK) {
            return rc;
        }

        p += NGX_MESH_RECORD_HEADER + size + NGX_MESH_RECORD_TAG;
    }

    return NGX_OK;
}
