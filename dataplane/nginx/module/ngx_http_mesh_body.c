
/*
 * The limit of request bodies, which changes at run time: a filter that
 * counts what comes in, for bodies whose length is not announced.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


static ngx_int_t ngx_http_mesh_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_request_body_filter_pt  ngx_http_mesh_next_body_filter;


void
ngx_http_mesh_body_init(void)
{
    ngx_http_mesh_next_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_mesh_body_filter;
}


static ngx_int_t
ngx_http_mesh_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    off_t                 limit;
    ngx_chain_t          *cl;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r);

    if (ctx == NULL || ctx->direction != NGX_MESH_INCOMING
        || ctx->table == NULL)
    {
        return ngx_http_mesh_next_body_filter(r, in);
    }

    limit = ctx->table->client_max_body_size;

    for (cl = in; cl; cl = cl->next) {
        ctx->received += ngx_buf_size(cl->buf);
    }

    if (limit && ctx->received > limit && ctx->refusal == NULL) {
        ctx->refusal = "body_too_large";
        ngx_mesh_count_refusal(NGX_MESH_INCOMING, ctx->refusal);
        r->keepalive = 0;

        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    return ngx_http_mesh_next_body_filter(r, in);
}
