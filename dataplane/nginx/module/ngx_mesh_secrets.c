
/*
 * From OpenSSL's handshake to records of our own: the traffic secrets that
 * it tells by way of its key log.  They are kept in memory for that time
 * only, and overwritten before they are given back.
 */


#include "ngx_mesh_identity.h"


static void ngx_mesh_secrets_line(const SSL *ssl, const char *line);


/*
 * For connections that are taken over.  OpenSSL then must not read more of
 * the socket than the handshake, because that could not be had from it.
 */

void
ngx_mesh_secrets_watch(SSL_CTX *ctx)
{
    SSL_CTX_set_keylog_callback(ctx, ngx_mesh_secrets_line);
    SSL_CTX_set_read_ahead(ctx, 0);
}


void
ngx_mesh_secrets_free(ngx_mesh_tls_t *tls)
{
    OPENSSL_clear_free(tls->secrets, sizeof(ngx_mesh_secrets_t));
    tls->secrets = NULL;
}


/* the size of the secret: 0 if it is none */

static size_t
ngx_mesh_secrets_read(const char *hex, u_char *secret)
{
    size_t     n;
    ngx_int_t  byte;

    for (n = 0; hex[2 * n]; n++) {

        if (n == NGX_MESH_SECRET_MAX || hex[2 * n + 1] == '\0') {
            return 0;
        }

        byte = ngx_hextoi((u_char *) &hex[2 * n], 2);

        if (byte == NGX_ERROR) {
            return 0;
        }

        secret[n] = (u_char) byte;
    }

    return n;
}


/* "<label> <client random> <secret>" */

static void
ngx_mesh_secrets_line(const SSL *ssl, const char *line)
{
    const char      *hex;
    ngx_uint_t       client;
    ngx_mesh_tls_t  *tls;

    static const char  of_client[] = "CLIENT_TRAFFIC_SECRET_0 ";
    static const char  of_server[] = "SERVER_TRAFFIC_SECRET_0 ";

    client = ngx_strncmp(line, of_client, sizeof(of_client) - 1) == 0;

    if (!client && ngx_strncmp(line, of_server, sizeof(of_server) - 1) != 0) {
        return;
    }

    hex = strchr(line + sizeof(of_client) - 1, ' ');
    tls = ngx_mesh_tls_get(ngx_ssl_get_connection(ssl));

    if (hex == NULL || tls == NULL) {
        return;
    }

    if (tls->secrets == NULL) {
        tls->secrets = OPENSSL_zalloc(sizeof(ngx_mesh_secrets_t));

        if (tls->secrets == NULL) {
            return;
        }
    }

    if (client) {
        tls->secrets->nclient = ngx_mesh_secrets_read(hex + 1,
                                                      tls->secrets->client);
    } else {
        tls->secrets->nserver = ngx_mesh_secrets_read(hex + 1,
                                                      tls->secrets->server);
    }
}


/* whether nothing but its keys is left in OpenSSL's connection */

static ngx_uint_t
ngx_mesh_secrets_is_fresh(SSL *ssl)
{
    return SSL_version(ssl) == TLS1_3_VERSION
           && SSL_is_init_finished(ssl)
           && SSL_get_shutdown(ssl) == 0
           && !SSL_has_pending(ssl)
           && BIO_wpending(SSL_get_wbio(ssl)) == 0
           && !BIO_get_ktls_send(SSL_get_wbio(ssl))
           && !BIO_get_ktls_recv(SSL_get_rbio(ssl))
           && SSL_SESSION_get_max_fragment_length(SSL_get0_session(ssl))
              == TLSEXT_max_fragment_length_DISABLED;
}


/*
 * Records of this connection, from right after the handshake on.
 * NGX_DECLINED: OpenSSL has to go on with it.
 */

ngx_int_t
ngx_mesh_secrets_take(ngx_connection_t *c, ngx_mesh_records_t *r)
{
    SSL                 *ssl;
    size_t               size;
    ngx_int_t            rc;
    ngx_mesh_tls_t      *tls;
    ngx_mesh_suite_t    *suite;
    ngx_mesh_secrets_t  *secrets;

    ssl = c->ssl->connection;
    tls = ngx_mesh_tls_get(c);

    if (tls == NULL || tls->secrets == NULL) {
        return NGX_DECLINED;
    }

    secrets = tls->secrets;
    rc = NGX_DECLINED;

    suite = ngx_mesh_record_suite(SSL_CIPHER_get_protocol_id(
                                                SSL_get_current_cipher(ssl)));

    if (suite && ngx_mesh_secrets_is_fresh(ssl)) {

        size = ngx_mesh_record_secret_size(suite);

        if (secrets->nclient == size && secrets->nserver == size) {

            r->is_server = SSL_is_server(ssl);

            rc = r->is_server
                 ? ngx_mesh_records_init(r, suite, secrets->client,
                                         secrets->server)
                 : ngx_mesh_records_init(r, suite, secrets->server,
                                         secrets->client);
        }
    }

    ngx_mesh_secrets_free(tls);

    if (rc == NGX_ERROR) {
        ngx_mesh_records_free(r);
        ngx_memzero(r, sizeof(ngx_mesh_records_t));
        rc = NGX_DECLINED;
    }

    return rc;
}
