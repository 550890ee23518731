
/*
 * Which pod a peer is, as far as its certificate tells: the namespace of its
 * SPIFFE ID, and its DNS names, of which one is the pod's (the others are of
 * Services and the service account).
 */


#include "ngx_mesh_identity.h"


/* of spiffe://<trust domain>/ns/<namespace>/sa/<service account> */

static ngx_int_t
ngx_mesh_names_namespace(ngx_str_t *id, ngx_str_t *namespace)
{
    u_char  *p, *last;

    static u_char  ns[] = "/ns/";

    p = id->data;
    last = p + id->len;

    if (id->len <= sizeof("spiffe://") - 1) {
        return NGX_DECLINED;
    }

    p = ngx_strlchr(p + sizeof("spiffe://") - 1, last, '/');

    if (p == NULL || (size_t) (last - p) < sizeof(ns) - 1
        || ngx_memcmp(p, ns, sizeof(ns) - 1) != 0)
    {
        return NGX_DECLINED;
    }

    namespace->data = p + sizeof(ns) - 1;

    p = ngx_strlchr(namespace->data, last, '/');
    namespace->len = (p ? p : last) - namespace->data;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_names_add(ngx_mesh_tls_t *tls, ngx_str_t *namespace, ASN1_STRING *dns)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *name;

    len = ASN1_STRING_length(dns);
    name = &tls->names[tls->nnames];

    p = ngx_pnalloc(tls->pool, namespace->len + 1 + len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    name->data = p;

    p = ngx_cpymem(p, namespace->data, namespace->len);
    *p++ = '/';
    p = ngx_cpymem(p, ASN1_STRING_get0_data(dns), len);

    name->len = p - name->data;
    tls->nnames++;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_names_read(ngx_mesh_tls_t *tls, GENERAL_NAMES *sans)
{
    int            i, n;
    ngx_str_t      namespace;
    GENERAL_NAME  *san;

    if (ngx_mesh_names_namespace(&tls->identity, &namespace) != NGX_OK) {
        return NGX_OK;
    }

    n = 0;

    for (i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
        n += (sk_GENERAL_NAME_value(sans, i)->type == GEN_DNS);
    }

    if (n == 0) {
        return NGX_OK;
    }

    tls->names = ngx_palloc(tls->pool, n * sizeof(ngx_str_t));
    if (tls->names == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
        san = sk_GENERAL_NAME_value(sans, i);

        if (san->type == GEN_DNS
            && ngx_mesh_names_add(tls, &namespace, san->d.dNSName) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * Once for each connection: where somebody asks, or before OpenSSL's part of
 * it is given up, and the certificate with it
 */

ngx_int_t
ngx_mesh_tls_names(ngx_mesh_tls_t *tls, SSL *ssl)
{
    X509           *leaf;
    ngx_int_t       rc;
    GENERAL_NAMES  *sans;

    if (tls->named) {
        return NGX_OK;
    }

    leaf = SSL_get0_peer_certificate(ssl);
    if (leaf == NULL) {
        return NGX_ERROR;
    }

    sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    if (sans == NULL) {
        return NGX_ERROR;
    }

    tls->nnames = 0;
    rc = ngx_mesh_names_read(tls, sans);

    GENERAL_NAMES_free(sans);

    tls->named = (rc == NGX_OK);

    return rc;
}
