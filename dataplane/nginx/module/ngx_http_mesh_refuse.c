
/*
 * Refusing a request: the reason is counted, logged, and said to mesh peers
 * and to our own application (docs/reference/metrics.md, "Reasons").
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


/* "<reason>", or "<reason>:<namespace>/<name>" with a policy to blame */

static const char *
ngx_http_mesh_reason_id(ngx_http_request_t *r, const char *reason,
    ngx_mesh_policy_t *policy)
{
    u_char  *id;
    size_t   len;

    if (policy == NULL) {
        return reason;
    }

    len = ngx_strlen(reason) + 1 + policy->name.len + 1;

    id = ngx_pnalloc(r->pool, len);
    if (id == NULL) {
        return reason;
    }

    (void) ngx_snprintf(id, len, "%s:%V%Z", reason, &policy->name);

    return (char *) id;
}


/* not to strangers: it is none of their business what policies there are */

static void
ngx_http_mesh_tell(ngx_http_mesh_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    if (ctx->role == NGX_HTTP_MESH_INCOMING_PLAINTEXT) {
        return;
    }

    h = ngx_list_push(&ctx->request->headers_out.headers);
    if (h == NULL) {
        return;
    }

    h->hash = 1;
    h->next = NULL;
    ngx_str_set(&h->key, "X-Mesh-Refused");
    h->value.data = (u_char *) ctx->refusal;
    h->value.len = ngx_strlen(ctx->refusal);
}


ngx_int_t
ngx_http_mesh_refuse_by(ngx_http_mesh_ctx_t *ctx, const char *reason,
    ngx_mesh_policy_t *policy, ngx_int_t status)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ctx->refusal = ngx_http_mesh_reason_id(r, reason, policy);

    ngx_mesh_count_refusal_by(ctx->direction, reason, policy);
    ngx_http_mesh_tell(ctx);

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "mesh: %s request refused: %s",
                  ngx_mesh_direction_name(ctx->direction), ctx->refusal);

    return status;
}


ngx_int_t
ngx_http_mesh_refuse(ngx_http_mesh_ctx_t *ctx, const char *reason,
    ngx_int_t status)
{
    return ngx_http_mesh_refuse_by(ctx, reason, NULL, status);
}
