
/*
 * The judgement of a request before it is proxied: whether the mode allows
 * it, which headers it may not carry.
 */


#include "ngx_http_mesh.h"


static void ngx_http_mesh_cleanup(void *data);


/* internal redirects clear the module contexts, but not the cleanups */

ngx_http_mesh_ctx_t *
ngx_http_mesh_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_mesh_module);

    if (ctx || (!r->internal && !r->error_page && !r->filter_finalize)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_mesh_cleanup) {
            ngx_http_set_ctx(r, cln->data, ngx_http_mesh_module);
            return cln->data;
        }
    }

    return NULL;
}


static ngx_http_mesh_ctx_t *
ngx_http_mesh_create_ctx(ngx_http_request_t *r,
    ngx_http_mesh_loc_conf_t *conf)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_mesh_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_mesh_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, offsetof(ngx_http_mesh_ctx_t, tried));

    ctx->request = r;
    ctx->role = conf->role;
    ctx->protocol = conf->protocol;
    ctx->direction = (conf->role == NGX_HTTP_MESH_OUTGOING)
                     ? NGX_MESH_OUTGOING : NGX_MESH_INCOMING;

    if (ngx_mesh.table) {
        ctx->table = ngx_mesh.table;
        ctx->table->refs++;
    }

    cln->handler = ngx_http_mesh_cleanup;
    ngx_http_set_ctx(r, ctx, ngx_http_mesh_module);

    return ctx;
}


static void
ngx_http_mesh_cleanup(void *data)
{
    ngx_http_mesh_ctx_t  *ctx = data;

    ngx_http_mesh_review_end(ctx);
    ngx_http_mesh_request_end(ctx);
    ngx_http_mesh_chunked_end(ctx);

    while (ctx->nheld) {
        ngx_mesh_peer_release(ctx->held[--ctx->nheld]);
    }

    if (ctx->one.peer) {
        ngx_mesh_peer_release(ctx->one.peer);
    }

    if (ctx->table) {
        ngx_mesh_table_release(ctx->table);
    }
}


/*
 * "X_Mesh_Peer_Identity" reaches many applications as the same name, and
 * "X.Mesh.Peer.Identity" those who make variables of names as PHP does.  The
 * key is made the canonical one, which the configuration then replaces.
 */

static ngx_uint_t
ngx_http_mesh_is_same_name(ngx_table_elt_t *h, ngx_str_t *name)
{
    size_t  i;
    u_char  ch;

    if (h->key.len != name->len) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        ch = ngx_tolower(h->key.data[i]);

        if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9')) {
            ch = '-';
        }

        if (ch != name->data[i]) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_mesh_strip_header(ngx_table_elt_t *h)
{
    ngx_uint_t  n;

    static ngx_str_t  names[] = {
        ngx_string("x-mesh-peer-identity"),
        ngx_string("x-forwarded-client-cert")
    };

    for (n = 0; n < sizeof(names) / sizeof(names[0]); n++) {

        if (ngx_http_mesh_is_same_name(h, &names[n])) {
            h->lowcase_key = names[n].data;
            h->hash = ngx_hash_key(names[n].data, names[n].len);
            return;
        }
    }
}


static void
ngx_http_mesh_strip_headers(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            ngx_http_mesh_strip_header(&h[i]);
        }
    }
}


static ngx_int_t
ngx_http_mesh_access_identity(ngx_http_mesh_ctx_t *ctx)
{
    ngx_mesh_tls_t      *tls;
    ngx_http_request_t  *r;

    r = ctx->request;
    tls = ngx_http_mesh_records_peer(r->connection);

    if (tls == NULL || tls->identity.len == 0) {
        ngx_http_mesh_last(r);
        return ngx_http_mesh_refuse(ctx, "no_identity", NGX_HTTP_FORBIDDEN);
    }

    ctx->identity = tls->identity;
    ctx->tls_version = tls->version;
    ctx->tls_cipher = tls->cipher;

    if (ngx_mesh_tls_is_stale(tls)) {
        ngx_http_mesh_last(r);
    }

    return NGX_OK;
}


/*
 * The one thing that a pod answers in plaintext that is strict, or says who
 * may call it or how often (contract 5.probes)
 */

static ngx_uint_t
ngx_http_mesh_is_health(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    static ngx_str_t  check = ngx_string("/grpc.health.v1.Health/Check");

    r = ctx->request;

    return ctx->protocol == NGX_MESH_GRPC
           && r->method == NGX_HTTP_POST
           && r->unparsed_uri.len == check.len
           && ngx_memcmp(r->unparsed_uri.data, check.data, check.len) == 0
           && ngx_mesh_accepts_health(&ctx->dst);
}


static ngx_int_t
ngx_http_mesh_access_incoming(ngx_http_mesh_ctx_t *ctx)
{
    off_t                limit;
    ngx_int_t            rc;
    const char          *reason;
    ngx_uint_t           health, strict;
    ngx_http_request_t  *r;

    r = ctx->request;
    health = 0;
    strict = ctx->table->mode == NGX_MESH_STRICT;

    if (ctx->role == NGX_HTTP_MESH_INCOMING) {
        rc = ngx_http_mesh_access_identity(ctx);

        if (rc != NGX_OK) {
            return rc;
        }

    } else if ((strict || ctx->table->access.enforced
                || ctx->table->limits.nlimits)
               && !ctx->table->transparent)
    {
        health = ngx_http_mesh_is_health(ctx);

        if (strict && !health) {
            ngx_http_mesh_last(r);
            return ngx_http_mesh_refuse(ctx, "plaintext", NGX_HTTP_FORBIDDEN);
        }
    }

    if (!health && !ngx_mesh_accepts(&ctx->dst, ctx->protocol)) {
        ngx_http_mesh_last(r);
        return ngx_http_mesh_refuse(ctx, "undeclared_port",
                                    NGX_HTTP_FORBIDDEN);
    }

    rc = ngx_http_mesh_check_syntax(r, &reason);

    if (rc != NGX_OK) {
        ngx_http_mesh_last(r);
        return ngx_http_mesh_refuse(ctx, reason, rc);
    }

    if (ngx_http_mesh_chunked_begin(ctx) != NGX_OK) {
        ngx_http_mesh_last(r);
        return ngx_http_mesh_refuse(ctx, "malformed", NGX_HTTP_BAD_REQUEST);
    }

    ngx_http_mesh_strip_headers(r);

    if (!health) {
        rc = ngx_http_mesh_judge(ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        ngx_http_mesh_review_begin(ctx);
    }

    limit = ctx->table->client_max_body_size;

    if (limit && r->headers_in.content_length_n > limit) {
        return ngx_http_mesh_refuse(ctx, "body_too_large",
                                    NGX_HTTP_REQUEST_ENTITY_TOO_LARGE);
    }

    if (ngx_mesh_draining()) {
        ngx_http_mesh_last(r);
    }

    if (ngx_http_mesh_single(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_http_mesh_choose(ctx);

    return health ? NGX_DECLINED : ngx_http_mesh_limit(ctx);
}


ngx_int_t
ngx_http_mesh_access_handler(ngx_http_request_t *r)
{
    ngx_http_mesh_ctx_t       *ctx;
    ngx_http_mesh_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_module);

    if (conf->role == NGX_HTTP_MESH_NONE || r != r->main
        || ngx_http_mesh_ctx(r))
    {
        return NGX_DECLINED;
    }

    ngx_mesh_refresh(r->connection->log);

    ctx = ngx_http_mesh_create_ctx(r, conf);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->table == NULL) {
        return ngx_http_mesh_refuse(ctx, "no_configuration",
                                    NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    /* loopback callers of our own ports are redirected by nobody */

    if (ngx_mesh_original_dst_kept(r->connection, &ctx->dst) != NGX_OK
        || ngx_mesh_addr_is_sidecar(&ctx->dst))
    {
        ngx_http_mesh_last(r);
        return ngx_http_mesh_refuse(ctx, "not_redirected",
                                    NGX_HTTP_FORBIDDEN);
    }

    return ctx->direction == NGX_MESH_OUTGOING
           ? ngx_http_mesh_outgoing(ctx)
           : ngx_http_mesh_access_incoming(ctx);
}
