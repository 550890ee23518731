
/*
 * What the agent writes as svid.pem and bundle.pem: each input as both.
 */


#include "fuzz.h"
#include "ngx_mesh_identity.h"
#include "ngx_mesh_table.h"


static void
target_svid(ngx_str_t *pem, ngx_str_t *error)
{
    ngx_str_t         id, trust_domain;
    ngx_mesh_svid_t  *svid;

    svid = ngx_mesh_svid_read(pem, error);

    if (svid == NULL) {
        fuzz_must(error->len > 0 && error->len <= NGX_MESH_ERROR_MAX);
        return;
    }

    id.data = svid->spiffe_id;
    id.len = svid->spiffe_id_len;

    trust_domain.data = id.data + sizeof("spiffe://") - 1;
    trust_domain.len = ngx_strlchr(trust_domain.data, id.data + id.len, '/')
                       - trust_domain.data;

    fuzz_must(ngx_mesh_is_spiffe_id(&id, &trust_domain));
    fuzz_must(svid->leaf && svid->key && svid->chain);
    fuzz_must(svid->serial_len <= sizeof(svid->serial));

    ngx_mesh_svid_free(svid);
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char              buf[NGX_MESH_ERROR_MAX];
    ngx_str_t           pem, error;
    ngx_mesh_bundle_t  *bundle;

    core_init();

    pem.len = size;
    pem.data = malloc(size);
    ngx_memcpy(pem.data, data, size);

    error.data = buf;
    error.len = 0;
    target_svid(&pem, &error);

    error.len = 0;
    bundle = ngx_mesh_bundle_read(&pem, &error);

    if (bundle) {
        ngx_mesh_bundle_free(bundle);

    } else {
        fuzz_must(error.len > 0 && error.len <= NGX_MESH_ERROR_MAX);
    }

    free(pem.data);

    return 0;
}
