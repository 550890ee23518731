
/*
 * What is read from the certificate that a peer presents, in DER: its single
 * URI name, and its end.
 */


#include "fuzz.h"
#include "ngx_mesh_identity.h"
#include "ngx_mesh_table.h"


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
        (void) ngx_mesh_is_spiffe_id(&id, &trust_domain);
    }

    (void) ngx_mesh_not_after(cert);

    free(name);
    X509_free(cert);

    return 0;
}
