
/*
 * The stream part: redirected connections are judged here and handed to the
 * listener that serves them.
 *
 *     mesh_route incoming|outgoing;   server
 *     mesh_endpoints;                 upstream
 */


#include "ngx_stream_mesh.h"


#define NGX_STREAM_MESH_NONE  2


typedef struct {
    ngx_uint_t                direction;     /* ngx_mesh_direction_e */
} ngx_stream_mesh_srv_conf_t;


static ngx_int_t ngx_stream_mesh_init(ngx_conf_t *cf);
static ngx_int_t ngx_stream_mesh_init_process(ngx_cycle_t *cycle);
static void *ngx_stream_mesh_create_srv_conf(ngx_conf_t *cf);
static char *ngx_stream_mesh_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);


static ngx_conf_enum_t  ngx_stream_mesh_directions[] = {
    { ngx_string("incoming"), NGX_MESH_INCOMING },
    { ngx_string("outgoing"), NGX_MESH_OUTGOING },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_stream_mesh_commands[] = {

    { ngx_string("mesh_route"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_stream_mesh_srv_conf_t, direction),
      &ngx_stream_mesh_directions },

    { ngx_string("mesh_endpoints"),
      NGX_STREAM_UPS_CONF|NGX_CONF_NOARGS,
      ngx_stream_mesh_endpoints,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_stream_mesh_module_ctx = {
    ngx_stream_mesh_add_variables,         /* preconfiguration */
    ngx_stream_mesh_init,                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_stream_mesh_create_srv_conf,       /* create server configuration */
    ngx_stream_mesh_merge_srv_conf         /* merge server configuration */
};


ngx_module_t  ngx_stream_mesh_module = {
    NGX_MODULE_V1,
    &ngx_stream_mesh_module_ctx,           /* module context */
    ngx_stream_mesh_commands,              /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_stream_mesh_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void
ngx_stream_mesh_closed(void *data)
{
    ngx_stream_mesh_ctx_t  *ctx = data;

    ngx_mesh_count_active(-1);

    ngx_stream_mesh_relay_free(ctx);
    ngx_stream_mesh_buffers_free(ctx);

    if (ctx->silence.timer_set) {
        ngx_del_timer(&ctx->silence);
    }

    if (ctx->nheld && !ctx->connected) {
        ngx_stream_mesh_failed(ctx);
    }

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


/* NULL: this connection was not redirected */

ngx_stream_mesh_ctx_t *
ngx_stream_mesh_ctx(ngx_stream_session_t *s)
{
    ngx_pool_cleanup_t     *cln;
    ngx_stream_mesh_ctx_t  *ctx;

    ctx = ngx_stream_get_module_ctx(s, ngx_stream_mesh_module);

    if (ctx) {
        return ctx;
    }

    for (cln = s->connection->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_stream_mesh_closed) {
            ctx = cln->data;
            ctx->session = s;
            ngx_stream_set_ctx(s, ctx, ngx_stream_mesh_module);
            return ctx;
        }
    }

    return NULL;
}


/* as http answers for the same reason (docs/reference/metrics.md) */

static ngx_uint_t
ngx_stream_mesh_refusal_status(const char *reason)
{
    ngx_uint_t  i;

    static const char  *unavailable[] = {
        "no_configuration", "no_endpoint", "circuit_open", "no_svid"
    };

    for (i = 0; i < sizeof(unavailable) / sizeof(unavailable[0]); i++) {
        if (ngx_strcmp(reason, unavailable[i]) == 0) {
            return NGX_STREAM_SERVICE_UNAVAILABLE;
        }
    }

    return NGX_STREAM_FORBIDDEN;
}


/* "policy" is to blame, or NULL */

void
ngx_stream_mesh_refuse_by(ngx_stream_mesh_ctx_t *ctx, const char *reason,
    ngx_mesh_policy_t *policy)
{
    size_t      len;
    u_char     *p;
    ngx_str_t   none = ngx_null_string;
    ngx_str_t  *name;

    name = policy ? &policy->name : &none;
    len = ngx_strlen(reason) + 1 + name->len;

    p = ngx_pnalloc(ctx->connection->pool, len);

    if (p) {
        ctx->refused.data = p;
        ctx->refused.len = ngx_snprintf(p, len, "%s%s%V", reason,
                                        policy ? ":" : "", name)
                           - p;
    }

    ctx->status = ngx_stream_mesh_refusal_status(reason);

    ngx_mesh_count_refusal_by(ctx->direction, reason, policy);

    ngx_log_error(NGX_LOG_INFO, ctx->connection->log, 0,
                  "mesh: %s connection refused: %V",
                  ngx_mesh_direction_name(ctx->direction), &ctx->refused);
}


void
ngx_stream_mesh_refuse(ngx_stream_mesh_ctx_t *ctx, const char *reason)
{
    ngx_stream_mesh_refuse_by(ctx, reason, NULL);
}


/* the verdict stands: count it, and let go of what only judging needs */

void
ngx_stream_mesh_decided(ngx_stream_mesh_ctx_t *ctx)
{
    if (ngx_mesh_is_refusal(ctx->verdict.target)) {
        ngx_stream_mesh_refuse_by(ctx, ctx->verdict.reason,
                                  ctx->way ? ctx->way->open : NULL);

    } else {
        ngx_mesh_count_handled(ctx->direction);
    }

    switch (ctx->verdict.target) {

    case NGX_MESH_TO_TCP_MTLS:
    case NGX_MESH_TO_TCP_PLAINTEXT:
    case NGX_MESH_TO_TCP_OUTGOING:
        return;

    default:
        if (ctx->table) {
            ngx_mesh_table_release(ctx->table);
            ctx->table = NULL;
        }
    }
}


static void
ngx_stream_mesh_judge(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_mesh_verdict_t  *v;

    c = ctx->connection;
    v = &ctx->verdict;

    ngx_mesh_count_accepted(ctx->direction);

    if (ngx_mesh_original_dst(c, &ctx->dst) != NGX_OK) {
        v->reason = "not_redirected";
        v->target = (ctx->direction == NGX_MESH_INCOMING)
                    ? NGX_MESH_TO_ERROR_INCOMING
                    : NGX_MESH_TO_ERROR_OUTGOING;

    } else if (ctx->direction == NGX_MESH_INCOMING) {
        ngx_mesh_route_incoming(&ctx->dst, c->sockaddr, v);

    } else {
        ngx_mesh_route_outgoing(&ctx->dst, c->sockaddr, v);

        if (v->target == NGX_MESH_TO_TCP_OUTGOING) {
            ngx_stream_mesh_choose_outgoing(ctx);
        }
    }

    if (v->target != NGX_MESH_TO_PEEK) {
        ngx_stream_mesh_decided(ctx);
    }
}


static ngx_stream_mesh_ctx_t *
ngx_stream_mesh_begin(ngx_stream_session_t *s, ngx_mesh_direction_e direction)
{
    ngx_pool_cleanup_t     *cln;
    ngx_stream_mesh_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(s->connection->pool,
                               sizeof(ngx_stream_mesh_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_stream_mesh_ctx_t));

    ctx->connection = s->connection;
    ctx->session = s;
    ctx->direction = direction;

    cln->handler = ngx_stream_mesh_closed;
    ngx_mesh_count_active(1);

    ngx_stream_set_ctx(s, ctx, ngx_stream_mesh_module);

    ngx_mesh_refresh(s->connection->log);

    if (ngx_mesh.table) {
        ctx->table = ngx_mesh.table;
        ctx->table->refs++;
    }

    ngx_stream_mesh_judge(ctx);

    return ctx;
}


static ngx_int_t
ngx_stream_mesh_preread_handler(ngx_stream_session_t *s)
{
    ngx_stream_mesh_ctx_t       *ctx;
    ngx_stream_mesh_srv_conf_t  *conf;

    conf = ngx_stream_get_module_srv_conf(s, ngx_stream_mesh_module);

    if (conf->direction == NGX_STREAM_MESH_NONE) {
        return NGX_DECLINED;
    }

    ctx = ngx_stream_get_module_ctx(s, ngx_stream_mesh_module);

    if (ctx == NULL) {
        ctx = ngx_stream_mesh_begin(s, conf->direction);

        if (ctx == NULL) {
            return NGX_ERROR;
        }
    }

    return ctx->verdict.target == NGX_MESH_TO_PEEK ? ngx_stream_mesh_peek(ctx)
                                                   : NGX_OK;
}


static ngx_int_t
ngx_stream_mesh_init(ngx_conf_t *cf)
{
    ngx_stream_handler_pt        *h;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_STREAM_PREREAD_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_stream_mesh_preread_handler;

    return ngx_stream_mesh_tls_servers(cf);
}


static ngx_int_t
ngx_stream_mesh_init_process(ngx_cycle_t *cycle)
{
    ngx_stream_mesh_count_init();
    ngx_mesh.review = ngx_stream_mesh_review_all;

    return NGX_OK;
}


static void *
ngx_stream_mesh_create_srv_conf(ngx_conf_t *cf)
{
    ngx_stream_mesh_srv_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_stream_mesh_srv_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->direction = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_stream_mesh_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_stream_mesh_srv_conf_t  *prev = parent;
    ngx_stream_mesh_srv_conf_t  *conf = child;

    ngx_conf_merge_uint_value(conf->direction, prev->direction,
                              NGX_STREAM_MESH_NONE);

    return NGX_CONF_OK;
}
