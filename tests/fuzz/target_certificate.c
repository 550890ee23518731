
/*
 * What is read from the certificate that a peer presents, in DER: its single
 * URI name, its DNS names, and its end.
 */


#include "fuzz.h"
#include "ngx_mesh_identity.h"
#include "ngx_mesh_table.h"


/* the names are read from a connection: here it is the certificate itself */

static X509  *target_leaf;

#define SSL_get0_peer_certificate(ssl)  target_leaf
#include "ngx_mesh_names.c"


/* names of pods in the namespace of the identity, each whole */

static void
target_names(ngx_str_t *id)
{
    ngx_pool_t      *pool;
    ngx_uint_t       i;
    ngx_str_t       *name;
    ngx_mesh_tls_t  *tls;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    tls = ngx_pcalloc(pool, sizeof(ngx_mesh_tls_t));

    tls->pool = pool;
    tls->identity.len = id->len;
    tls->identity.data = ngx_pstrdup(pool, id);

    fuzz_must(ngx_mesh_tls_names(tls, NULL) == NGX_OK && tls->named);

    for (i = 0; i < tls->nnames; i++) {
        name = &tls->names[i];

        fuzz_must(name->len > 0);
        fuzz_must(ngx_strlchr(name->data, name->data + name->len, '/'));
    }

    ngx_destroy_pool(pool);
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    X509          *cert;
    u_char        *name;
    ngx_str_t      id, trust_domain;
    const u_char  *p;

    core_init();

    p = data;
    cert = d2i_X509(NULL, &p, (long) size);

    if (cert == NULL) {
        return 0;
    }

    /* of exactly the promised size: a write behind it is seen */

    name = malloc(NGX_MESH_SPIFFE_ID_SIZE);

    id.data = name;
    id.len = 0;
    ngx_str_set(&trust_domain, "example.org");

    if (ngx_mesh_uri_san(cert, name, &id.len) == NGX_OK) {
        fuzz_must(id.len > 0 && id.len <= NGX_MESH_SPIFFE_ID_SIZE);

        if (ngx_mesh_is_spiffe_id(&id, &trust_domain)) {
            target_leaf = cert;
            target_names(&id);
        }
    }

    (void) ngx_mesh_not_after(cert);

    free(name);
    X509_free(cert);

    return 0;
}
