
/*
 * The record layer of TLS 1.3 (RFC 8446, 5) as values: plaintext in, records
 * out, and back.  It knows no socket; OpenSSL makes the handshake and gives
 * the secrets.
 */


#ifndef _NGX_MESH_RECORD_H_INCLUDED_
#define _NGX_MESH_RECORD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <openssl/evp.h>


#define NGX_MESH_RECORD_HEADER     5
#define NGX_MESH_RECORD_TAG        16
#define NGX_MESH_RECORD_IV         12
#define NGX_MESH_RECORD_PLAIN      16384
#define NGX_MESH_RECORD_MAX        (NGX_MESH_RECORD_HEADER                    \
                                    + NGX_MESH_RECORD_PLAIN + 256)

/* header, the byte of the type, tag */
#define NGX_MESH_RECORD_OVERHEAD   (NGX_MESH_RECORD_HEADER + 1                \
                                    + NGX_MESH_RECORD_TAG)

/* a record with a KeyUpdate in it, which may go before any other */
#define NGX_MESH_RECORD_UPDATE     (NGX_MESH_RECORD_OVERHEAD + 5)

/* an alert in its record */
#define NGX_MESH_RECORD_ALERT      (NGX_MESH_RECORD_OVERHEAD + 2)

#define NGX_MESH_SECRET_MAX        48

/* records by one key; AES-GCM bears 2^24.5 (RFC 8446, 5.5) */
#define NGX_MESH_RECORD_REKEY      (1 << 24)

/* records in a row that bring the application nothing */
#define NGX_MESH_RECORD_QUIET_MAX  32


typedef enum {
    NGX_MESH_RECORD_IS_ALERT = 21,
    NGX_MESH_RECORD_IS_HANDSHAKE = 22,
    NGX_MESH_RECORD_IS_DATA = 23
} ngx_mesh_record_type_e;


/* RFC 8446, 6 */

typedef enum {
    NGX_MESH_ALERT_CLOSE_NOTIFY = 0,
    NGX_MESH_ALERT_UNEXPECTED_MESSAGE = 10,
    NGX_MESH_ALERT_BAD_RECORD_MAC = 20,
    NGX_MESH_ALERT_RECORD_OVERFLOW = 22,
    NGX_MESH_ALERT_ILLEGAL_PARAMETER = 47,
    NGX_MESH_ALERT_DECODE_ERROR = 50,
    NGX_MESH_ALERT_INTERNAL_ERROR = 80,
    NGX_MESH_ALERT_USER_CANCELED = 90
} ngx_mesh_alert_e;


typedef struct ngx_mesh_suite_s  ngx_mesh_suite_t;


/* one direction */

typedef struct {
    ngx_mesh_suite_t         *suite;
    EVP_CIPHER_CTX           *cipher;        /* with the key */
    uint64_t                  sequence;
    u_char                    iv[NGX_MESH_RECORD_IV];
    u_char                    secret[NGX_MESH_SECRET_MAX];
} ngx_mesh_record_key_t;


typedef struct {
    ngx_mesh_record_key_t     in;
    ngx_mesh_record_key_t     out;
    uint64_t                  rekey;         /* records out by one key */

    size_t                    message_left;  /* of a handshake message */
    u_char                    message[4];    /* its type and size */
    u_char                    nmessage;      /* bytes of these */
    u_char                    quiet;
    u_char                    alert;         /* why it was given up, to tell;
                                                or what the peer told */
    unsigned                  is_server:1;
    unsigned                  told:1;        /* the alert is the peer's */
    unsigned                  answer:1;      /* the peer wants a new key */
} ngx_mesh_records_t;


/* ngx_mesh_record_keys.c */

ngx_mesh_suite_t *ngx_mesh_record_suite(ngx_uint_t id);
size_t ngx_mesh_record_secret_size(ngx_mesh_suite_t *suite);
ngx_int_t ngx_mesh_record_key_init(ngx_mesh_record_key_t *key,
    ngx_mesh_suite_t *suite, u_char *secret, int encrypt);
ngx_int_t ngx_mesh_record_key_update(ngx_mesh_record_key_t *key);
void ngx_mesh_record_key_free(ngx_mesh_record_key_t *key);
void ngx_mesh_record_nonce(ngx_mesh_record_key_t *key, u_char *nonce);

/* ngx_mesh_record_open.c */

ngx_int_t ngx_mesh_records_open(ngx_mesh_records_t *r, u_char **from,
    u_char *last, u_char **to, u_char *end);

/* ngx_mesh_record.c */

ngx_int_t ngx_mesh_records_init(ngx_mesh_records_t *r,
    ngx_mesh_suite_t *suite, u_char *in, u_char *out);
void ngx_mesh_records_free(ngx_mesh_records_t *r);
u_char *ngx_mesh_record_begin(ngx_mesh_records_t *r, u_char *to,
    size_t size);
u_char *ngx_mesh_record_add(ngx_mesh_records_t *r, u_char *to, u_char *data,
    size_t size);
u_char *ngx_mesh_record_end(ngx_mesh_records_t *r, u_char *to,
    ngx_mesh_record_type_e type);
u_char *ngx_mesh_record_alert(ngx_mesh_records_t *r, u_char *to,
    ngx_mesh_alert_e alert);


#endif /* _NGX_MESH_RECORD_H_INCLUDED_ */
