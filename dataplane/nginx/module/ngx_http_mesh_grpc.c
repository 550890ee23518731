
/*
 * Errors that the sidecar makes for gRPC requests, as gRPC answers: HTTP 200,
 * content type application/grpc, and grpc-status and grpc-message in a block
 * of headers that ends the stream ("Trailers-Only" of the gRPC protocol).
 * An answer that breaks off gets them as its trailers.  Counters and the
 * access log keep the HTTP status.
 */


#include "ngx_http_mesh.h"


static ngx_int_t ngx_http_mesh_grpc_header_filter(ngx_http_request_t *r);


static ngx_http_output_header_filter_pt  ngx_http_mesh_next_header_filter;


void
ngx_http_mesh_grpc_init(void)
{
    ngx_http_mesh_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_mesh_grpc_header_filter;
}


/* application/grpc, application/grpc+proto; not application/grpc-web */

static ngx_uint_t
ngx_http_mesh_is_grpc(ngx_http_request_t *r)
{
    ngx_str_t  *type;

    static ngx_str_t  grpc = ngx_string("application/grpc");

    if (r->http_version != NGX_HTTP_VERSION_20
        || r->headers_in.content_type == NULL)
    {
        return 0;
    }

    type = &r->headers_in.content_type->value;

    return type->len >= grpc.len
           && ngx_strncasecmp(type->data, grpc.data, grpc.len) == 0
           && (type->len == grpc.len || type->data[grpc.len] == '+'
               || type->data[grpc.len] == ';');
}


/* by the table of gRPC's own mapping of HTTP errors, closer where we know */

static const char *
ngx_http_mesh_grpc_status(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_UNAUTHORIZED:
        return "16";                         /* UNAUTHENTICATED */

    case NGX_HTTP_FORBIDDEN:
        return "7";                          /* PERMISSION_DENIED */

    case NGX_HTTP_NOT_FOUND:
        return "12";                         /* UNIMPLEMENTED */

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
    case NGX_HTTP_REQUEST_URI_TOO_LARGE:
    case NGX_HTTP_REQUEST_HEADER_TOO_LARGE:
    case NGX_HTTP_TOO_MANY_REQUESTS:
        return "8";                          /* RESOURCE_EXHAUSTED */

    case NGX_HTTP_REQUEST_TIME_OUT:
    case NGX_HTTP_GATEWAY_TIME_OUT:
        return "4";                          /* DEADLINE_EXCEEDED */

    case NGX_HTTP_BAD_GATEWAY:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return "14";                         /* UNAVAILABLE */

    default:
        return "13";                         /* INTERNAL */
    }
}


static const char *
ngx_http_mesh_grpc_message(ngx_http_mesh_ctx_t *ctx, ngx_uint_t status)
{
    if (ctx && ctx->refusal) {
        return ctx->refusal;
    }

    switch (status) {

    case NGX_HTTP_BAD_GATEWAY:
        return (ctx && ctx->request->upstream
                && ctx->request->upstream->header_sent)
               ? "the answer broke off" : "no endpoint answered";

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return "timed out";

    default:
        return "error of the sidecar";
    }
}


static ngx_int_t
ngx_http_mesh_grpc_add(ngx_http_request_t *r, ngx_list_t *list,
    const char *name, const char *prefix, const char *value)
{
    size_t            len;
    ngx_table_elt_t  *h;

    h = ngx_list_push(list);
    if (h == NULL) {
        return NGX_ERROR;
    }

    len = ngx_strlen(prefix) + ngx_strlen(value);

    h->hash = 1;
    h->next = NULL;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = ngx_pnalloc(r->pool, len);

    if (h->value.data == NULL) {
        h->hash = 0;
        return NGX_ERROR;
    }

    h->value.len = ngx_snprintf(h->value.data, len, "%s%s", prefix, value)
                   - h->value.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_grpc_end(ngx_http_request_t *r, ngx_list_t *list,
    ngx_uint_t status)
{
    const char  *message;

    message = ngx_http_mesh_grpc_message(ngx_http_mesh_ctx(r), status);

    if (ngx_http_mesh_grpc_add(r, list, "grpc-status", "",
                               ngx_http_mesh_grpc_status(status))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_mesh_grpc_add(r, list, "grpc-message", "mesh: ", message);
}


static ngx_int_t
ngx_http_mesh_grpc_header_filter(ngx_http_request_t *r)
{
    ngx_http_mesh_loc_conf_t  *conf;

    /* an error is nginx's own only if it says so */

    if (r->err_status < NGX_HTTP_BAD_REQUEST || r != r->main) {
        return ngx_http_mesh_next_header_filter(r);
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_module);

    if (conf->role == NGX_HTTP_MESH_NONE || !ngx_http_mesh_is_grpc(r)) {
        return ngx_http_mesh_next_header_filter(r);
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.status_line.len = 0;
    ngx_str_set(&r->headers_out.content_type, "application/grpc");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_str_null(&r->headers_out.charset);
    ngx_http_clear_content_length(r);
    r->header_only = 1;

    if (ngx_http_mesh_grpc_end(r, &r->headers_out.headers, r->err_status)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_mesh_next_header_filter(r);
}


/* between the last byte that came and the end of the stream */

static void
ngx_http_mesh_grpc_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r);

    ctx->finalize(r, rc);

    if (!r->upstream->header_sent || r->header_only || r->connection->error
        || (rc != NGX_ERROR && rc < NGX_HTTP_INTERNAL_SERVER_ERROR)
        || !ngx_http_mesh_is_grpc(r))
    {
        return;
    }

    if (ngx_http_mesh_grpc_end(r, &r->headers_out.trailers,
                               rc == NGX_ERROR ? NGX_HTTP_BAD_GATEWAY
                                               : (ngx_uint_t) rc)
        == NGX_OK)
    {
        (void) ngx_http_send_special(r, NGX_HTTP_LAST);
    }
}


void
ngx_http_mesh_grpc_watch(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    ctx->finalize = u->finalize_request;
    u->finalize_request = ngx_http_mesh_grpc_finalize;
}
