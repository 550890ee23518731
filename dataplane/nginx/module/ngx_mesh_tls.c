
/*
 * Who is at the other end of a TLS connection.  The verify callback accepts
 * a chain only if its leaf is a SPIFFE identity of our trust domain, and the
 * expected one where there is an expectation (contract 3.identity), however
 * often the chain was verified before.
 */


#include "ngx_mesh_identity.h"
#include "ngx_mesh_counters.h"
#include "ngx_mesh_table.h"


static void ngx_mesh_tls_cleanup(void *data);
static int ngx_mesh_tls_client_hello(SSL *ssl, int *alert, void *arg);
static int ngx_mesh_tls_certificate(SSL *ssl, void *arg);


static int  ngx_mesh_tls_index = -1;


ngx_int_t
ngx_mesh_tls_init(ngx_log_t *log)
{
    if (ngx_mesh_tls_index != -1) {
        return NGX_OK;
    }

    ngx_mesh_tls_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);

    if (ngx_mesh_tls_index == -1) {
        ngx_ssl_error(NGX_LOG_EMERG, log, 0, "SSL_get_ex_new_index() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


const char *
ngx_mesh_handshake_name(ngx_mesh_handshake_e result)
{
    static const char  *names[] = {
        "ok", "expired", "untrusted", "identity", "no_svid", "incomplete"
    };

    return names[result];
}


/* the first verdict counts */

void
ngx_mesh_tls_count(ngx_mesh_tls_t *tls, ngx_mesh_handshake_e result)
{
    if (tls->result != NGX_MESH_HANDSHAKE_PENDING) {
        return;
    }

    tls->result = result;
    ngx_mesh_count_handshake(tls->direction, ngx_mesh_handshake_name(result));
}


ngx_mesh_tls_t *
ngx_mesh_tls_create(SSL *ssl, ngx_pool_t *pool, ngx_log_t *log,
    ngx_mesh_direction_e direction)
{
    ngx_mesh_tls_t      *tls;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_mesh_tls_t));
    if (cln == NULL) {
        return NULL;
    }

    tls = cln->data;
    ngx_memzero(tls, sizeof(ngx_mesh_tls_t));

    tls->direction = direction;
    tls->result = NGX_MESH_HANDSHAKE_PENDING;
    tls->pool = pool;
    tls->log = log;

    cln->handler = ngx_mesh_tls_cleanup;

    if (SSL_set_ex_data(ssl, ngx_mesh_tls_index, tls) != 1) {
        return NULL;
    }

    return tls;
}


/* no certificate, another protocol version, or the peer went away */

static void
ngx_mesh_tls_cleanup(void *data)
{
    ngx_mesh_tls_count(data, NGX_MESH_HANDSHAKE_INCOMPLETE);
    ngx_mesh_secrets_free(data);
}


ngx_mesh_tls_t *
ngx_mesh_tls_get(ngx_connection_t *c)
{
    if (c->ssl == NULL) {
        return NULL;
    }

    return SSL_get_ex_data(c->ssl->connection, ngx_mesh_tls_index);
}


static ngx_int_t
ngx_mesh_tls_identify(ngx_mesh_tls_t *tls, X509 *leaf)
{
    u_char     buf[NGX_MESH_SPIFFE_ID_SIZE];
    ngx_str_t  id;

    id.data = buf;

    if (ngx_mesh_uri_san(leaf, buf, &id.len) != NGX_OK) {
        ngx_log_error(NGX_LOG_INFO, tls->log, 0, "mesh: peer certificate "
                      "does not have exactly one URI name");
        return NGX_DECLINED;
    }

    /* an authority's own certificate names a trust domain, not a workload */

    if (X509_check_ca(leaf)
        || ngx_mesh.table == NULL
        || !ngx_mesh_is_spiffe_id(&id, &ngx_mesh.table->trust_domain))
    {
        ngx_log_error(NGX_LOG_INFO, tls->log, 0, "mesh: peer certificate is "
                      "not of a workload of this trust domain: \"%V\"", &id);
        return NGX_DECLINED;
    }

    if (tls->expected.len
        && (id.len != tls->expected.len
            || ngx_memcmp(id.data, tls->expected.data, id.len) != 0))
    {
        ngx_log_error(NGX_LOG_ERR, tls->log, 0,
                      "mesh: peer is \"%V\" where \"%V\" was expected",
                      &id, &tls->expected);
        return NGX_DECLINED;
    }

    tls->identity.data = ngx_pstrdup(tls->pool, &id);
    if (tls->identity.data == NULL) {
        return NGX_ERROR;
    }

    tls->identity.len = id.len;
    tls->not_after = ngx_mesh_not_after(leaf);

    return NGX_OK;
}


/* OpenSSL asks this in place of X509_verify_cert() */

static int
ngx_mesh_tls_verify(X509_STORE_CTX *ctx, void *arg)
{
    int              err;
    SSL             *ssl;
    ngx_mesh_tls_t  *tls;

    ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    tls = SSL_get_ex_data(ssl, ngx_mesh_tls_index);

    if (tls == NULL || ngx_mesh.bundle == NULL) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }

    if (!ngx_mesh_chains_verify(ngx_mesh.bundle->chains, ctx, tls->direction)) {
        err = X509_STORE_CTX_get_error(ctx);

        ngx_log_error(NGX_LOG_INFO, tls->log, 0,
                      "mesh: peer certificate refused: %s",
                      X509_verify_cert_error_string(err));

        ngx_mesh_tls_count(tls, err == X509_V_ERR_CERT_HAS_EXPIRED
                                ? NGX_MESH_HANDSHAKE_EXPIRED
                                : NGX_MESH_HANDSHAKE_UNTRUSTED);
        return 0;
    }

    if (ngx_mesh_tls_identify(tls, X509_STORE_CTX_get0_cert(ctx)) != NGX_OK) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
        ngx_mesh_tls_count(tls, NGX_MESH_HANDSHAKE_IDENTITY);
        return 0;
    }

    tls->version = SSL_get_version(ssl);
    tls->cipher = SSL_get_cipher_name(ssl);

    ngx_mesh_tls_count(tls, NGX_MESH_HANDSHAKE_OK);

    return 1;
}


/*
 * OpenSSL 3.5 would offer a share of X25519MLKEM768, too, which doubles what
 * the key exchange costs (docs/adr/0010).  P-256 is for peers under FIPS.
 */

static int  ngx_mesh_tls_groups[] = { NID_X25519, NID_X9_62_prime256v1 };


/* NGX_DECLINED: there is nothing yet to prove or to verify with */

ngx_int_t
ngx_mesh_tls_require_peer(SSL *ssl)
{
    ngx_mesh_tls_t  *tls;

    tls = SSL_get_ex_data(ssl, ngx_mesh_tls_index);

    if (ngx_mesh.svid == NULL || ngx_mesh.bundle == NULL) {
        ngx_mesh_tls_count(tls, NGX_MESH_HANDSHAKE_NO_SVID);
        return NGX_DECLINED;
    }

    if (ngx_mesh_svid_use(ngx_mesh.svid, ssl) != NGX_OK
        || SSL_set1_verify_cert_store(ssl, ngx_mesh.bundle->store) != 1
        || SSL_set1_groups(ssl, ngx_mesh_tls_groups,
                           sizeof(ngx_mesh_tls_groups) / sizeof(int))
           != 1)
    {
        ngx_ssl_error(NGX_LOG_ERR, tls->log, 0,
                      "mesh: SVID or bundle cannot be used");
        return NGX_ERROR;
    }

    /* of a context: nginx keeps those of its upstreams to itself until now */

    SSL_CTX_set_cert_verify_callback(SSL_get_SSL_CTX(ssl),
                                     ngx_mesh_tls_verify, NULL);

    SSL_set_options(ssl, SSL_OP_NO_TX_CERTIFICATE_COMPRESSION
                         |SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);

    SSL_set_verify(ssl, SSL_VERIFY_PEER|SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);

    tls->bundle = ngx_mesh.bundle->number;

    return NGX_OK;
}


/* verified by another bundle than today's, or by a certificate now expired */

ngx_uint_t
ngx_mesh_tls_is_stale(ngx_mesh_tls_t *tls)
{
    return ngx_mesh.bundle == NULL
           || tls->bundle != ngx_mesh.bundle->number
           || tls->not_after < ngx_time();
}


/*
 * A listener's TLS: the SVID and the bundle of now for each handshake.
 * "identity": the other side must have one, too; else it is the listener of
 * probes, which has a certificate of its own.  "hello" is called in the
 * middle of each handshake, or NULL.
 */

ngx_int_t
ngx_mesh_tls_serve(SSL_CTX *ctx, ngx_uint_t identity,
    void (*hello)(ngx_connection_t *c), ngx_log_t *log)
{
    SSL_CTX_set_cert_cb(ctx, ngx_mesh_tls_certificate, NULL);

    if (identity) {
        SSL_CTX_set_client_hello_cb(ctx, ngx_mesh_tls_client_hello,
                                    (void *) hello);

    } else if (ngx_mesh_throwaway_certificate(ctx) != NGX_OK) {
        ngx_ssl_error(NGX_LOG_EMERG, log, 0,
                      "mesh: a certificate for probes cannot be made");
        return NGX_ERROR;
    }

    /* without this TLS 1.3 sends tickets even where resumption is off */

    if (SSL_CTX_set_num_tickets(ctx, 0) != 1) {
        ngx_ssl_error(NGX_LOG_EMERG, log, 0,
                      "SSL_CTX_set_num_tickets() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_mesh_tls_client_hello(SSL *ssl, int *alert, void *arg)
{
    void             (*hello)(ngx_connection_t *c) = arg;
    ngx_connection_t  *c;

    c = ngx_ssl_get_connection(ssl);

    ngx_mesh_refresh(c->log);

    /* a client that is asked to retry says hello twice */

    if (ngx_mesh_tls_get(c) == NULL
        && ngx_mesh_tls_create(ssl, c->pool, c->log, NGX_MESH_INCOMING)
           == NULL)
    {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }

    if (ngx_mesh_tls_require_peer(ssl) != NGX_OK) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }

    if (hello) {
        hello(c);
    }

    return SSL_CLIENT_HELLO_SUCCESS;
}


/*
 * In place of nginx's callback, which would evaluate "ssl_certificate" and
 * parse what comes out for each handshake: there is a certificate already,
 * the SVID by the hello, or the one for probes.
 */

static int
ngx_mesh_tls_certificate(SSL *ssl, void *arg)
{
    return SSL_get_certificate(ssl) != NULL;
}


/*
 * Before the handshake with a peer that must prove "identity".  "alpn" is
 * in wire format (RFC 7301) and begins with the mesh's own mark, which tells
 * a sidecar's TLS from an application's.
 */

ngx_int_t
ngx_mesh_tls_call(ngx_connection_t *c, ngx_str_t *identity, ngx_str_t *alpn)
{
    SSL             *ssl;
    ngx_mesh_tls_t  *tls;

    ssl = c->ssl->connection;

    tls = ngx_mesh_tls_create(ssl, c->pool, c->log, NGX_MESH_OUTGOING);
    if (tls == NULL) {
        return NGX_ERROR;
    }

    tls->expected = *identity;

    if (tls->expected.len == 0
        || ngx_mesh_tls_require_peer(ssl) != NGX_OK
        || SSL_set_alpn_protos(ssl, alpn->data, alpn->len) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
