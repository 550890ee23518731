
/*
 * Identities: this workload's SVID, the trust bundle, and who a peer is.
 */


#ifndef _NGX_MESH_IDENTITY_H_INCLUDED_
#define _NGX_MESH_IDENTITY_H_INCLUDED_


#include "ngx_mesh.h"
#include "ngx_mesh_record.h"
#include <openssl/ssl.h>
#include <openssl/x509v3.h>


#define NGX_MESH_SPIFFE_ID_SIZE  2048


struct ngx_mesh_svid_s {
    X509                     *leaf;
    EVP_PKEY                 *key;
    STACK_OF(X509)           *chain;

    u_char                    spiffe_id[NGX_MESH_SPIFFE_ID_SIZE];
    size_t                    spiffe_id_len;
    u_char                    serial[64];    /* hexadecimal */
    size_t                    serial_len;
    time_t                    not_after;
};


typedef struct ngx_mesh_chains_s  ngx_mesh_chains_t;


struct ngx_mesh_bundle_s {
    X509_STORE               *store;
    ngx_mesh_chains_t        *chains;        /* verified with the store */
    u_char                    digest[64];    /* sha256, hexadecimal */
    ngx_uint_t                number;        /* of this worker's bundles */
};


/* why a handshake did not come about; the values of the label "result" */

typedef enum {
    NGX_MESH_HANDSHAKE_OK = 0,
    NGX_MESH_HANDSHAKE_EXPIRED,
    NGX_MESH_HANDSHAKE_UNTRUSTED,
    NGX_MESH_HANDSHAKE_IDENTITY,
    NGX_MESH_HANDSHAKE_NO_SVID,
    NGX_MESH_HANDSHAKE_INCOMPLETE,
    NGX_MESH_HANDSHAKE_PENDING
} ngx_mesh_handshake_e;


/* those of a TLS 1.3 connection's two directions, until somebody takes them */

typedef struct {
    u_char                    client[NGX_MESH_SECRET_MAX];
    u_char                    server[NGX_MESH_SECRET_MAX];
    size_t                    nclient;
    size_t                    nserver;
} ngx_mesh_secrets_t;


/* what the module remembers of one TLS connection, in its pool */

typedef struct {
    ngx_mesh_direction_e      direction;
    ngx_mesh_handshake_e      result;
    ngx_uint_t                bundle;        /* number of the one used */
    time_t                    not_after;     /* of the peer's certificate */
    ngx_str_t                 expected;      /* empty: any of our domain */
    ngx_str_t                 identity;      /* the peer's, once verified */
    const char               *version;       /* of TLS, with the identity */
    const char               *cipher;
    ngx_str_t                *names;         /* <namespace>/<DNS name> */
    ngx_uint_t                nnames;
    ngx_uint_t                named;         /* unsigned :1, names are read */
    ngx_uint_t                closed;        /* unsigned :1, close_notify */
    ngx_mesh_secrets_t       *secrets;
    ngx_pool_t               *pool;
    ngx_log_t                *log;
} ngx_mesh_tls_t;


ngx_mesh_svid_t *ngx_mesh_svid_read(ngx_str_t *pem, ngx_str_t *error);
void ngx_mesh_svid_free(ngx_mesh_svid_t *svid);
ngx_int_t ngx_mesh_svid_use(ngx_mesh_svid_t *svid, SSL *ssl);

ngx_mesh_bundle_t *ngx_mesh_bundle_read(ngx_str_t *pem, ngx_str_t *error);
void ngx_mesh_bundle_free(ngx_mesh_bundle_t *bundle);

ngx_int_t ngx_mesh_throwaway_certificate(SSL_CTX *ctx);
ngx_int_t ngx_mesh_uri_san(X509 *cert, u_char *buf, size_t *len);
time_t ngx_mesh_not_after(X509 *cert);


/* ngx_mesh_chains.c */

ngx_mesh_chains_t *ngx_mesh_chains_create(X509_STORE *store);
void ngx_mesh_chains_free(ngx_mesh_chains_t *chains);
int ngx_mesh_chains_verify(ngx_mesh_chains_t *chains, X509_STORE_CTX *ctx,
    ngx_mesh_direction_e direction);


/* ngx_mesh_names.c: those that the peer may be, into tls->names */

ngx_int_t ngx_mesh_tls_names(ngx_mesh_tls_t *tls, SSL *ssl);


/* ngx_mesh_tls.c */

ngx_int_t ngx_mesh_tls_init(ngx_log_t *log);
ngx_mesh_tls_t *ngx_mesh_tls_create(SSL *ssl, ngx_pool_t *pool,
    ngx_log_t *log, ngx_mesh_direction_e direction);
ngx_mesh_tls_t *ngx_mesh_tls_get(ngx_connection_t *c);
ngx_int_t ngx_mesh_tls_require_peer(SSL *ssl);
ngx_int_t ngx_mesh_tls_serve(SSL_CTX *ctx, ngx_uint_t identity,
    void (*hello)(ngx_connection_t *c), ngx_log_t *log);
ngx_int_t ngx_mesh_tls_call(ngx_connection_t *c, ngx_str_t *identity,
    ngx_str_t *alpn);
ngx_uint_t ngx_mesh_tls_is_stale(ngx_mesh_tls_t *tls);
const char *ngx_mesh_handshake_name(ngx_mesh_handshake_e result);
void ngx_mesh_tls_count(ngx_mesh_tls_t *tls, ngx_mesh_handshake_e result);


/* ngx_mesh_secrets.c */

void ngx_mesh_secrets_watch(SSL_CTX *ctx);
void ngx_mesh_secrets_free(ngx_mesh_tls_t *tls);
ngx_int_t ngx_mesh_secrets_take(ngx_connection_t *c, ngx_mesh_records_t *r);


#endif /* _NGX_MESH_IDENTITY_H_INCLUDED_ */
