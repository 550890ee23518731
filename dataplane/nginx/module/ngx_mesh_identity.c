
/*
 * Reading the SVID and the trust bundle.  Both are parsed once when they
 * change and shared by every handshake after that; OpenSSL counts references,
 * so a handshake in progress keeps what it began with.
 */


#include "ngx_mesh_identity.h"
#include "ngx_mesh_table.h"
#include <openssl/pem.h>
#include <openssl/err.h>


static ngx_int_t
ngx_mesh_pem_error(ngx_str_t *error, const char *text)
{
    error->len = ngx_slprintf(error->data, error->data + NGX_MESH_ERROR_MAX,
                              "%s", text)
                 - error->data;

    ERR_clear_error();

    return NGX_ERROR;
}


/* the reader found no further block: anything else is a broken one */

static ngx_uint_t
ngx_mesh_pem_ended(void)
{
    u_long      n;
    ngx_uint_t  ended;

    n = ERR_peek_last_error();

    ended = ERR_GET_LIB(n) == ERR_LIB_PEM
            && ERR_GET_REASON(n) == PEM_R_NO_START_LINE;

    ERR_clear_error();

    return ended;
}


/* the single URI SAN, as in the certificate; NGX_DECLINED: not exactly one */

ngx_int_t
ngx_mesh_uri_san(X509 *cert, u_char *buf, size_t *len)
{
    int               i, n, size;
    GENERAL_NAME     *name;
    const u_char     *data;
    GENERAL_NAMES    *names;

    names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    if (names == NULL) {
        return NGX_DECLINED;
    }

    n = 0;
    *len = 0;

    for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {

        name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_URI) {
            continue;
        }

        data = ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
        size = ASN1_STRING_length(name->d.uniformResourceIdentifier);

        n++;

        if (size > 0 && size <= NGX_MESH_SPIFFE_ID_SIZE) {
            ngx_memcpy(buf, data, size);
            *len = size;
        }
    }

    GENERAL_NAMES_free(names);

    return (n == 1 && *len) ? NGX_OK : NGX_DECLINED;
}


time_t
ngx_mesh_not_after(X509 *cert)
{
    struct tm  tm;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1) {
        return 0;
    }

    return timegm(&tm);
}


static ngx_int_t
ngx_mesh_svid_certificates(ngx_mesh_svid_t *svid, ngx_str_t *pem,
    ngx_str_t *error)
{
    BIO   *bio;
    X509  *cert;

    bio = BIO_new_mem_buf(pem->data, (int) pem->len);
    if (bio == NULL) {
        return ngx_mesh_pem_error(error, "svid.pem: out of memory");
    }

    /* the empty password keeps an encrypted block from asking the terminal */

    for ( ;; ) {
        cert = PEM_read_bio_X509(bio, NULL, NULL, (void *) "");

        if (cert == NULL) {
            break;
        }

        if (svid->leaf == NULL) {
            svid->leaf = cert;
            continue;
        }

        if (!sk_X509_push(svid->chain, cert)) {
            X509_free(cert);
            BIO_free(bio);
            return ngx_mesh_pem_error(error, "svid.pem: out of memory");
        }
    }

    BIO_free(bio);

    if (!ngx_mesh_pem_ended() || svid->leaf == NULL) {
        return ngx_mesh_pem_error(error, "svid.pem: takes PEM certificates, "
                                         "the leaf first");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_svid_key(ngx_mesh_svid_t *svid, ngx_str_t *pem, ngx_str_t *error)
{
    BIO  *bio;

    bio = BIO_new_mem_buf(pem->data, (int) pem->len);
    if (bio == NULL) {
        return ngx_mesh_pem_error(error, "svid.pem: out of memory");
    }

    svid->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *) "");

    BIO_free(bio);

    if (svid->key == NULL) {
        return ngx_mesh_pem_error(error, "svid.pem: takes a private key in "
                                         "PEM, not encrypted");
    }

    if (X509_check_private_key(svid->leaf, svid->key) != 1) {
        return ngx_mesh_pem_error(error, "svid.pem: the private key is not "
                                         "that of the first certificate");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_svid_serial(ngx_mesh_svid_t *svid, ngx_str_t *error)
{
    int           n;
    BIGNUM       *bn;
    u_char        bytes[32];

    bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(svid->leaf), NULL);

    if (bn == NULL || BN_num_bytes(bn) > (int) sizeof(bytes)) {
        BN_free(bn);
        return ngx_mesh_pem_error(error, "svid.pem: takes a serial number of "
                                         "at most 32 bytes");
    }

    n = BN_bn2bin(bn, bytes);
    BN_free(bn);

    svid->serial_len = ngx_hex_dump(svid->serial, bytes, n) - svid->serial;

    if (n && bytes[0] < 0x10) {
        svid->serial_len--;
        ngx_memmove(svid->serial, svid->serial + 1, svid->serial_len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_svid_spiffe_id(ngx_mesh_svid_t *svid)
{
    u_char     *start, *slash;
    ngx_str_t   id, trust_domain;

    if (ngx_mesh_uri_san(svid->leaf, svid->spiffe_id, &svid->spiffe_id_len)
        != NGX_OK
        || svid->spiffe_id_len <= sizeof("spiffe://") - 1)
    {
        return NGX_DECLINED;
    }

    id.data = svid->spiffe_id;
    id.len = svid->spiffe_id_len;

    start = id.data + sizeof("spiffe://") - 1;
    slash = ngx_strlchr(start, id.data + id.len, '/');

    trust_domain.data = start;
    trust_domain.len = slash ? slash - start : 0;

    if (!ngx_mesh_is_trust_domain(&trust_domain)
        || !ngx_mesh_is_spiffe_id(&id, &trust_domain))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_mesh_svid_t *
ngx_mesh_svid_read(ngx_str_t *pem, ngx_str_t *error)
{
    ngx_mesh_svid_t  *svid;

    ERR_clear_error();

    svid = ngx_calloc(sizeof(ngx_mesh_svid_t), ngx_cycle->log);
    if (svid) {
        svid->chain = sk_X509_new_null();
    }

    if (svid == NULL || svid->chain == NULL) {
        (void) ngx_mesh_pem_error(error, "svid.pem: out of memory");
        goto failed;
    }

    if (ngx_mesh_svid_certificates(svid, pem, error) != NGX_OK
        || ngx_mesh_svid_key(svid, pem, error) != NGX_OK
        || ngx_mesh_svid_serial(svid, error) != NGX_OK)
    {
        goto failed;
    }

    if (ngx_mesh_svid_spiffe_id(svid) != NGX_OK) {
        (void) ngx_mesh_pem_error(error, "svid.pem: takes a certificate with "
                                         "exactly one URI name, a SPIFFE ID");
        goto failed;
    }

    svid->not_after = ngx_mesh_not_after(svid->leaf);

    return svid;

failed:

    if (svid) {
        ngx_mesh_svid_free(svid);
    }

    return NULL;
}


void
ngx_mesh_svid_free(ngx_mesh_svid_t *svid)
{
    X509_free(svid->leaf);
    EVP_PKEY_free(svid->key);
    sk_X509_pop_free(svid->chain, X509_free);
    ngx_free(svid);
}


ngx_int_t
ngx_mesh_svid_use(ngx_mesh_svid_t *svid, SSL *ssl)
{
    if (SSL_use_cert_and_key(ssl, svid->leaf, svid->key, svid->chain, 1)
        != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_mesh_bundle_t *
ngx_mesh_bundle_read(ngx_str_t *pem, ngx_str_t *error)
{
    int                 n;
    BIO                *bio;
    X509               *cert;
    u_char              digest[EVP_MAX_MD_SIZE];
    ngx_mesh_bundle_t  *bundle;

    static ngx_uint_t   number;

    ERR_clear_error();

    bundle = ngx_calloc(sizeof(ngx_mesh_bundle_t), ngx_cycle->log);
    bio = BIO_new_mem_buf(pem->data, (int) pem->len);

    if (bundle) {
        bundle->store = X509_STORE_new();
    }

    if (bundle == NULL || bio == NULL || bundle->store == NULL
        || EVP_Digest(pem->data, pem->len, digest, NULL, EVP_sha256(), NULL)
           != 1)
    {
        (void) ngx_mesh_pem_error(error, "bundle.pem: out of memory");
        goto failed;
    }

    /* every certificate of a SPIFFE bundle is an anchor, self-signed or not */

    X509_STORE_set_flags(bundle->store, X509_V_FLAG_PARTIAL_CHAIN);

    for (n = 0; ; n++) {
        cert = PEM_read_bio_X509(bio, NULL, NULL, (void *) "");

        if (cert == NULL) {
            break;
        }

        if (X509_STORE_add_cert(bundle->store, cert) != 1) {
            X509_free(cert);
            (void) ngx_mesh_pem_error(error, "bundle.pem: out of memory");
            goto failed;
        }

        X509_free(cert);
    }

    if (!ngx_mesh_pem_ended() || n == 0) {
        (void) ngx_mesh_pem_error(error, "bundle.pem: takes at least one PEM "
                                         "certificate");
        goto failed;
    }

    bundle->chains = ngx_mesh_chains_create(bundle->store);
    if (bundle->chains == NULL) {
        (void) ngx_mesh_pem_error(error, "bundle.pem: out of memory");
        goto failed;
    }

    BIO_free(bio);

    ngx_hex_dump(bundle->digest, digest, 32);
    bundle->number = ++number;

    return bundle;

failed:

    BIO_free(bio);

    if (bundle) {
        ngx_mesh_bundle_free(bundle);
    }

    return NULL;
}


void
ngx_mesh_bundle_free(ngx_mesh_bundle_t *bundle)
{
    if (bundle->chains) {
        ngx_mesh_chains_free(bundle->chains);
    }

    X509_STORE_free(bundle->store);
    ngx_free(bundle);
}
