
/*
 * Variables for the configuration and the access log.
 *
 *     $mesh_direction        incoming, outgoing
 *     $mesh_host             what the caller calls it, in HTTP/1
 *     $mesh_original_dst     where the connection was going
 *     $mesh_upstream         <namespace>/<service>:<port>
 *     $mesh_peer_identity    the other side's SPIFFE ID, proven
 *     $mesh_tls_version, $mesh_tls_cipher   of the connection to it
 *     $mesh_refused          why the sidecar refused: the reason's id
 *     $mesh_app_unreachable  1: the application took no connection
 *     $mesh_grpc_scheme      grpcs, grpc: by the endpoint of the first attempt
 *     $mesh_log_default, $mesh_log_json     1: the access log's format
 *     $mesh_certificate      never has a value: "ssl_certificate" must name
 *                            something, the module gives certificates itself
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


typedef enum {
    NGX_HTTP_MESH_V_DIRECTION = 0,
    NGX_HTTP_MESH_V_ORIGINAL_DST,
    NGX_HTTP_MESH_V_UPSTREAM,
    NGX_HTTP_MESH_V_IDENTITY,
    NGX_HTTP_MESH_V_TLS_VERSION,
    NGX_HTTP_MESH_V_TLS_CIPHER,
    NGX_HTTP_MESH_V_REFUSAL,
    NGX_HTTP_MESH_V_APP_UNREACHABLE,
    NGX_HTTP_MESH_V_GRPC_SCHEME
} ngx_http_mesh_variable_e;


static ngx_int_t ngx_http_mesh_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_mesh_variable_host(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_mesh_variable_log(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_mesh_variable_none(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_mesh_variables[] = {

    { ngx_string("mesh_direction"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_DIRECTION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_host"), NULL, ngx_http_mesh_variable_host,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_original_dst"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_ORIGINAL_DST, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_upstream"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_UPSTREAM, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_peer_identity"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_IDENTITY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_tls_version"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_TLS_VERSION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_tls_cipher"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_TLS_CIPHER, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_refused"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_REFUSAL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_app_unreachable"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_APP_UNREACHABLE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_grpc_scheme"), NULL, ngx_http_mesh_variable,
      NGX_HTTP_MESH_V_GRPC_SCHEME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_log_default"), NULL, ngx_http_mesh_variable_log,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_log_json"), NULL, ngx_http_mesh_variable_log,
      1, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_certificate"), NULL, ngx_http_mesh_variable_none, 0, 0, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_mesh_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_mesh_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_variable_text(ngx_http_variable_value_t *v, const char *text)
{
    if (text == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = (u_char *) text;
    v->len = ngx_strlen(text);
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_variable_str(ngx_http_variable_value_t *v, u_char *data,
    size_t len)
{
    if (len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = data;
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_variable_dst(ngx_http_mesh_ctx_t *ctx,
    ngx_http_variable_value_t *v)
{
    u_char  *p;

    if (ctx->dst.port == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool, NGX_MESH_PEER_NAME_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_mesh_variable_str(v, p,
                   ngx_mesh_addr_text(p, p + NGX_MESH_PEER_NAME_MAX, &ctx->dst)
                   - p);
}


/*
 * HTTP/1.0 may leave the header out; what is passed on is HTTP/1.1, which
 * may not (RFC 9112, 3.2).
 */

static ngx_int_t
ngx_http_mesh_variable_host(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             authority;
    ngx_http_mesh_ctx_t  *ctx;

    if (r->headers_in.host) {
        return ngx_http_mesh_variable_str(v, r->headers_in.host->value.data,
                                          r->headers_in.host->value.len);
    }

    ngx_http_mesh_authority(r, &authority);
    ctx = ngx_http_mesh_ctx(r);

    return (authority.len || ctx == NULL)
           ? ngx_http_mesh_variable_str(v, authority.data, authority.len)
           : ngx_http_mesh_variable_dst(ctx, v);
}


static ngx_int_t
ngx_http_mesh_variable_upstream(ngx_http_mesh_ctx_t *ctx,
    ngx_http_variable_value_t *v)
{
    size_t                len;
    u_char               *p;
    ngx_mesh_upstream_t  *u;

    u = ctx->upstream;

    if (u == NULL || u->name.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    len = u->name.len + sizeof(":65535") - 1;

    p = ngx_pnalloc(ctx->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_mesh_variable_str(v, p,
                      ngx_snprintf(p, len, "%V:%ui", &u->name,
                                   (ngx_uint_t) u->port)
                      - p);
}


/* the last attempt came to nothing because nobody listens */

static ngx_uint_t
ngx_http_mesh_app_unreachable(ngx_http_request_t *r)
{
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states == NULL || r->upstream_states->nelts == 0) {
        return 0;
    }

    state = r->upstream_states->elts;
    state += r->upstream_states->nelts - 1;

    return state->peer && state->connect_time == (ngx_msec_t) -1;
}


static ngx_int_t
ngx_http_mesh_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (data) {

    case NGX_HTTP_MESH_V_DIRECTION:
        return ngx_http_mesh_variable_text(v,
                                   ngx_mesh_direction_name(ctx->direction));

    case NGX_HTTP_MESH_V_ORIGINAL_DST:
        return ngx_http_mesh_variable_dst(ctx, v);

    case NGX_HTTP_MESH_V_UPSTREAM:
        return ngx_http_mesh_variable_upstream(ctx, v);

    case NGX_HTTP_MESH_V_IDENTITY:
        return ngx_http_mesh_variable_str(v, ctx->identity.data,
                                          ctx->identity.len);

    case NGX_HTTP_MESH_V_TLS_VERSION:
        return ngx_http_mesh_variable_text(v, ctx->tls_version);

    case NGX_HTTP_MESH_V_TLS_CIPHER:
        return ngx_http_mesh_variable_text(v, ctx->tls_cipher);

    case NGX_HTTP_MESH_V_REFUSAL:
        return ngx_http_mesh_variable_text(v, ctx->refusal);

    case NGX_HTTP_MESH_V_GRPC_SCHEME:
        return ngx_http_mesh_variable_text(v,
                   ctx->endpoint && ctx->endpoint->peer->identity.len
                   ? "grpcs" : "grpc");

    default: /* NGX_HTTP_MESH_V_APP_UNREACHABLE */
        return ngx_http_mesh_variable_text(v,
                              ngx_http_mesh_app_unreachable(r) ? "1" : NULL);
    }
}


static ngx_int_t
ngx_http_mesh_variable_log(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_uint_t  json;

    json = ngx_mesh.table ? ngx_mesh.table->log_json : 0;

    return ngx_http_mesh_variable_text(v, json == data ? "1" : NULL);
}


static ngx_int_t
ngx_http_mesh_variable_none(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    v->not_found = 1;

    return NGX_OK;
}
