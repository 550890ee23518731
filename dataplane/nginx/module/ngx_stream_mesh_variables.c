
/*
 * Variables of the stream part.
 *
 *     $mesh_target        where "pass" hands the connection
 *     $mesh_original_dst  where the connection was going; no value for a
 *                         connection that nobody redirected
 *     $mesh_direction     incoming, outgoing
 *     $mesh_peer_identity the other side's SPIFFE ID, proven
 *     $mesh_upstream      <namespace>/<service>:<port>, as it is counted
 *     $mesh_refused       id of the reason why it is refused
 *     $mesh_status        as $status, but for those that are refused
 *     $mesh_log_default, $mesh_log_json   1: the access log's format
 *     $mesh_certificate   never has a value: "ssl_certificate" must name
 *                         something, the module gives certificates itself
 */


#include "ngx_stream_mesh.h"


typedef enum {
    NGX_STREAM_MESH_V_DIRECTION = 0,
    NGX_STREAM_MESH_V_IDENTITY,
    NGX_STREAM_MESH_V_UPSTREAM,
    NGX_STREAM_MESH_V_REFUSED
} ngx_stream_mesh_variable_e;


static ngx_int_t ngx_stream_mesh_target_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_stream_mesh_dst_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_stream_mesh_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_stream_mesh_status_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_stream_mesh_log_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_stream_mesh_no_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data);


static ngx_stream_variable_t  ngx_stream_mesh_variables[] = {

    { ngx_string("mesh_target"), NULL, ngx_stream_mesh_target_variable,
      0, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_original_dst"), NULL, ngx_stream_mesh_dst_variable,
      0, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_direction"), NULL, ngx_stream_mesh_variable,
      NGX_STREAM_MESH_V_DIRECTION, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_peer_identity"), NULL, ngx_stream_mesh_variable,
      NGX_STREAM_MESH_V_IDENTITY, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_upstream"), NULL, ngx_stream_mesh_variable,
      NGX_STREAM_MESH_V_UPSTREAM, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_refused"), NULL, ngx_stream_mesh_variable,
      NGX_STREAM_MESH_V_REFUSED, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_status"), NULL, ngx_stream_mesh_status_variable,
      0, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_log_default"), NULL, ngx_stream_mesh_log_variable,
      0, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_log_json"), NULL, ngx_stream_mesh_log_variable,
      1, NGX_STREAM_VAR_NOCACHEABLE, 0 },

    { ngx_string("mesh_certificate"), NULL, ngx_stream_mesh_no_variable,
      0, 0, 0 },

      ngx_stream_null_variable
};


/* by ngx_mesh_target_e, up to the one that needs a look at the bytes */

static ngx_str_t  ngx_stream_mesh_targets[] = {
    ngx_string("127.0.0.1:8888"),
    ngx_string("127.0.0.1:8890"),
    ngx_string("127.0.0.1:8889"),
    ngx_string("127.0.0.1:8891"),
    ngx_string("127.0.0.1:8893"),
    ngx_string("127.0.0.1:8892"),
    ngx_string("127.0.0.1:8904"),
    ngx_string("127.0.0.1:8907"),
    ngx_string("127.0.0.1:8906"),
    ngx_string("127.0.0.1:8905"),
    ngx_string("127.0.0.1:8902"),
    ngx_string("127.0.0.1:8903")
};


static ngx_int_t
ngx_stream_mesh_value(ngx_stream_variable_value_t *v, u_char *data,
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
ngx_stream_mesh_target_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    ngx_str_t              *target;
    ngx_stream_mesh_ctx_t  *ctx;

    ctx = ngx_stream_get_module_ctx(s, ngx_stream_mesh_module);

    if (ctx == NULL || ctx->verdict.target >= NGX_MESH_TO_PEEK) {
        v->not_found = 1;
        return NGX_OK;
    }

    target = &ngx_stream_mesh_targets[ctx->verdict.target];

    return ngx_stream_mesh_value(v, target->data, target->len);
}


static ngx_int_t
ngx_stream_mesh_dst_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    u_char                 *p;
    ngx_stream_mesh_ctx_t  *ctx;

    ctx = ngx_stream_mesh_ctx(s);

    if (ctx == NULL || ctx->dst.port == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(s->connection->pool, NGX_MESH_PEER_NAME_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_stream_mesh_value(v, p,
                                 ngx_mesh_addr_text(p, p
                                                    + NGX_MESH_PEER_NAME_MAX,
                                                    &ctx->dst)
                                 - p);
}


/* the series of its counters says it: tables are let go long before the end */

static void
ngx_stream_mesh_upstream_name(ngx_stream_mesh_ctx_t *ctx, ngx_str_t *name)
{
    u_char           *last, *quote;
    ngx_mesh_slot_t  *slot;

    static ngx_str_t  label = ngx_string("upstream=\"");

    ngx_str_null(name);

    slot = ngx_mesh_slot_cached(ctx->slot, ctx->slot_hash);

    if (slot == NULL || slot->len < label.len
        || ngx_memcmp(slot->labels, label.data, label.len) != 0)
    {
        return;
    }

    last = slot->labels + slot->len;
    quote = ngx_strlchr(slot->labels + label.len, last, '"');

    if (quote) {
        name->data = slot->labels + label.len;
        name->len = quote - name->data;
    }
}


static void
ngx_stream_mesh_identity(ngx_stream_mesh_ctx_t *ctx, ngx_str_t *identity)
{
    ngx_mesh_tls_t  *tls;

    ngx_str_null(identity);

    if (ctx->direction == NGX_MESH_OUTGOING) {

        if (ctx->connected && ctx->nheld) {
            *identity = ctx->held[ctx->nheld - 1]->identity;
        }

        return;
    }

    tls = ctx->caller ? ctx->caller : ngx_mesh_tls_get(ctx->connection);

    if (tls) {
        *identity = tls->identity;
    }
}


/* what refuses ends the session as one that went well, or broke */

static ngx_int_t
ngx_stream_mesh_status_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    u_char                 *p;
    ngx_stream_mesh_ctx_t  *ctx;

    ctx = ngx_stream_mesh_ctx(s);

    p = ngx_pnalloc(s->connection->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_stream_mesh_value(v, p,
                                 ngx_sprintf(p, "%03ui",
                                             (ctx && ctx->status) ? ctx->status
                                                                  : s->status)
                                 - p);
}


static ngx_int_t
ngx_stream_mesh_log_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    ngx_uint_t  json;

    json = ngx_mesh.table ? ngx_mesh.table->log_json : 0;

    return ngx_stream_mesh_value(v, (u_char *) "1", json == data);
}


static ngx_int_t
ngx_stream_mesh_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    ngx_str_t               value;
    ngx_stream_mesh_ctx_t  *ctx;

    ctx = ngx_stream_mesh_ctx(s);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (data) {

    case NGX_STREAM_MESH_V_DIRECTION:
        value.data = (u_char *) ngx_mesh_direction_name(ctx->direction);
        value.len = ngx_strlen(value.data);
        break;

    case NGX_STREAM_MESH_V_IDENTITY:
        ngx_stream_mesh_identity(ctx, &value);
        break;

    case NGX_STREAM_MESH_V_UPSTREAM:
        ngx_stream_mesh_upstream_name(ctx, &value);
        break;

    default: /* NGX_STREAM_MESH_V_REFUSED */
        value = ctx->refused;
    }

    return ngx_stream_mesh_value(v, value.data, value.len);
}


static ngx_int_t
ngx_stream_mesh_no_variable(ngx_stream_session_t *s,
    ngx_stream_variable_value_t *v, uintptr_t data)
{
    v->not_found = 1;

    return NGX_OK;
}


ngx_int_t
ngx_stream_mesh_add_variables(ngx_conf_t *cf)
{
    ngx_stream_variable_t  *var, *v;

    for (v = ngx_stream_mesh_variables; v->name.len; v++) {

        var = ngx_stream_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
