
/*
 * Making records.  One is written in parts, so that its plaintext need not
 * lie in one piece:
 *
 *     begin(size)  add(part)...  end(type)
 *
 * Each returns where to go on, or NULL when the cipher failed; a KeyUpdate
 * goes before a record where one is due, so that "begin" wants room for both.
 */


#include "ngx_mesh_record.h"


static u_char *ngx_mesh_record_update(ngx_mesh_records_t *r, u_char *to);


ngx_int_t
ngx_mesh_records_init(ngx_mesh_records_t *r, ngx_mesh_suite_t *suite,
    u_char *in, u_char *out)
{
    r->rekey = NGX_MESH_RECORD_REKEY;

    if (ngx_mesh_record_key_init(&r->in, suite, in, 0) != NGX_OK
        || ngx_mesh_record_key_init(&r->out, suite, out, 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_mesh_records_free(ngx_mesh_records_t *r)
{
    ngx_mesh_record_key_free(&r->in);
    ngx_mesh_record_key_free(&r->out);
}


/* "size" of plaintext, at most NGX_MESH_RECORD_PLAIN */

static u_char *
ngx_mesh_record_header(ngx_mesh_records_t *r, u_char *to, size_t size)
{
    int     n;
    u_char  nonce[NGX_MESH_RECORD_IV];

    ngx_mesh_record_nonce(&r->out, nonce);

    size += 1 + NGX_MESH_RECORD_TAG;

    to[0] = NGX_MESH_RECORD_IS_DATA;
    to[1] = 3;
    to[2] = 3;
    to[3] = (u_char) (size >> 8);
    to[4] = (u_char) size;

    if (EVP_EncryptInit_ex(r->out.cipher, NULL, NULL, NULL, nonce) != 1
        || EVP_EncryptUpdate(r->out.cipher, NULL, &n, to,
                             NGX_MESH_RECORD_HEADER)
           != 1)
    {
        return NULL;
    }

    return to + NGX_MESH_RECORD_HEADER;
}


u_char *
ngx_mesh_record_begin(ngx_mesh_records_t *r, u_char *to, size_t size)
{
    if (r->answer || r->out.sequence >= r->rekey) {

        to = ngx_mesh_record_update(r, to);

        if (to == NULL) {
            return NULL;
        }
    }

    return ngx_mesh_record_header(r, to, size);
}


u_char *
ngx_mesh_record_add(ngx_mesh_records_t *r, u_char *to, u_char *data,
    size_t size)
{
    int  n;

    if (EVP_EncryptUpdate(r->out.cipher, to, &n, data, (int) size) != 1) {
        return NULL;
    }

    return to + size;
}


u_char *
ngx_mesh_record_end(ngx_mesh_records_t *r, u_char *to,
    ngx_mesh_record_type_e type)
{
    int     n;
    u_char  last;

    last = (u_char) type;

    if (EVP_EncryptUpdate(r->out.cipher, to, &n, &last, 1) != 1
        || EVP_EncryptFinal_ex(r->out.cipher, to + 1, &n) != 1
        || EVP_CIPHER_CTX_ctrl(r->out.cipher, EVP_CTRL_AEAD_GET_TAG,
                               NGX_MESH_RECORD_TAG, to + 1)
           != 1)
    {
        return NULL;
    }

    return to + 1 + NGX_MESH_RECORD_TAG;
}


static u_char *
ngx_mesh_record_whole(ngx_mesh_records_t *r, u_char *to, u_char *data,
    size_t size, ngx_mesh_record_type_e type)
{
    to = ngx_mesh_record_header(r, to, size);

    if (to) {
        to = ngx_mesh_record_add(r, to, data, size);
    }

    return to ? ngx_mesh_record_end(r, to, type) : NULL;
}


/* ours is a new key from here on (RFC 8446, 4.6.3); it asks for none */

static u_char *
ngx_mesh_record_update(ngx_mesh_records_t *r, u_char *to)
{
    static u_char  message[] = { 24, 0, 0, 1, 0 };

    to = ngx_mesh_record_whole(r, to, message, sizeof(message),
                               NGX_MESH_RECORD_IS_HANDSHAKE);

    if (to == NULL || ngx_mesh_record_key_update(&r->out) != NGX_OK) {
        return NULL;
    }

    r->answer = 0;

    return to;
}


u_char *
ngx_mesh_record_alert(ngx_mesh_records_t *r, u_char *to,
    ngx_mesh_alert_e alert)
{
    u_char  message[2];

    /* a warning (1) ends what is said, anything else is fatal (2) */

    message[0] = alert == NGX_MESH_ALERT_CLOSE_NOTIFY ? 1 : 2;
    message[1] = (u_char) alert;

    return ngx_mesh_record_whole(r, to, message, sizeof(message),
                                 NGX_MESH_RECORD_IS_ALERT);
}
