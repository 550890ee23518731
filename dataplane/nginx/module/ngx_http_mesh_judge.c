
/*
 * Whether the caller may make this request (contract 7.access).
 */


#include "ngx_http_mesh.h"


/*
 * What was judged is what goes on: an application must not read the path
 * otherwise than its rules were read.
 */

ngx_int_t
ngx_http_mesh_judge(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_request_t    *r;
    ngx_mesh_subject_t     subject;
    ngx_mesh_judgement_t   j;

    if (!ctx->table->access.enforced || ctx->table->transparent) {
        return NGX_OK;
    }

    r = ctx->request;

    ngx_http_mesh_subject(r, &subject);
    ngx_mesh_access_judge(&ctx->table->access, &ctx->identity, ctx->dst.port,
                          &subject, &j);

    if (j.reason) {
        return ngx_http_mesh_refuse_by(ctx, j.reason, j.policy,
                                       NGX_HTTP_FORBIDDEN);
    }

    if (j.by_path) {
        r->valid_unparsed_uri = 0;
    }

    return NGX_OK;
}
