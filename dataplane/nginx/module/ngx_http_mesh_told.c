
/*
 * What a peer's sidecar refused by a policy, and said so (X-Mesh-Refused,
 * contract 7.refused-there): a judgement of the request, no failure.  Asking
 * once more would only add to what is too much already, and neither endpoint
 * nor circuit has to do with it.
 *
 * Believed are endpoints that proved their identity: their sidecars take the
 * header out of what applications say.
 */


#include "ngx_http_mesh.h"


/* others, such as "no_configuration", are failures that may pass */

static ngx_uint_t
ngx_http_mesh_told_is_policy(ngx_str_t *id)
{
    ngx_uint_t  i;

    static ngx_str_t  reasons[] = {
        ngx_string("access_"),
        ngx_string("rate_limited"),
        ngx_string("circuit_open")
    };

    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (id->len >= reasons[i].len
            && ngx_memcmp(id->data, reasons[i].data, reasons[i].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* of the latest attempt */

ngx_uint_t
ngx_http_mesh_told(ngx_http_mesh_ctx_t *ctx)
{
    ngx_uint_t            i;
    ngx_list_part_t      *part;
    ngx_table_elt_t      *h;
    ngx_http_upstream_t  *u;

    static ngx_str_t  name = ngx_string("x-mesh-refused");

    u = ctx->request->upstream;

    if (u == NULL || ctx->direction != NGX_MESH_OUTGOING || ctx->nheld == 0
        || ctx->held[ctx->nheld - 1]->identity.len == 0)
    {
        return 0;
    }

    for (part = &u->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && h[i].key.len == name.len
                && ngx_strncasecmp(h[i].key.data, name.data, name.len) == 0)
            {
                return ngx_http_mesh_told_is_policy(&h[i].value);
            }
        }
    }

    return 0;
}
