
/*
 * A self-signed certificate for the listener of HTTPS probes.  The kubelet
 * verifies nothing, and the listener must serve before there is an SVID.
 */


#include "ngx_mesh_identity.h"


#define NGX_MESH_THROWAWAY_SECONDS  (10L * 365 * 24 * 3600)


static ngx_int_t
ngx_mesh_throwaway_fill(X509 *cert, EVP_PKEY *key)
{
    X509_NAME  *name;

    name = X509_get_subject_name(cert);

    if (X509_set_version(cert, X509_VERSION_3) != 1
        || ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) != 1
        || X509_gmtime_adj(X509_getm_notBefore(cert), -60) == NULL
        || X509_gmtime_adj(X509_getm_notAfter(cert),
                           NGX_MESH_THROWAWAY_SECONDS)
           == NULL
        || X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (u_char *) "probes", -1, -1, 0)
           != 1
        || X509_set_issuer_name(cert, name) != 1
        || X509_set_pubkey(cert, key) != 1
        || X509_sign(cert, key, EVP_sha256()) == 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_throwaway_certificate(SSL_CTX *ctx)
{
    X509       *cert;
    EVP_PKEY   *key;
    ngx_int_t   rc;

    rc = NGX_ERROR;

    key = EVP_EC_gen("P-256");
    cert = X509_new();

    if (key && cert
        && ngx_mesh_throwaway_fill(cert, key) == NGX_OK
        && SSL_CTX_use_certificate(ctx, cert) == 1
        && SSL_CTX_use_PrivateKey(ctx, key) == 1)
    {
        rc = NGX_OK;
    }

    X509_free(cert);
    EVP_PKEY_free(key);

    return rc;
}
