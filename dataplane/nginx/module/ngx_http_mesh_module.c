
/*
 * Directives and hooks of the http part.
 *
 *     mesh outgoing|incoming|incoming_plaintext;   location
 *     mesh_protocol http|grpc;                     location
 *     mesh_endpoints;                              upstream
 *     mesh_control apply|status|drain|ready|metrics;   location
 */


#include "ngx_http_mesh.h"


static void *ngx_http_mesh_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_mesh_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_mesh_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_mesh_init_process(ngx_cycle_t *cycle);


static ngx_conf_enum_t  ngx_http_mesh_roles[] = {
    { ngx_string("outgoing"), NGX_HTTP_MESH_OUTGOING },
    { ngx_string("incoming"), NGX_HTTP_MESH_INCOMING },
    { ngx_string("incoming_plaintext"), NGX_HTTP_MESH_INCOMING_PLAINTEXT },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_mesh_protocols[] = {
    { ngx_string("http"), NGX_MESH_HTTP },
    { ngx_string("grpc"), NGX_MESH_GRPC },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_mesh_commands[] = {

    { ngx_string("mesh"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_loc_conf_t, role),
      &ngx_http_mesh_roles },

    { ngx_string("mesh_protocol"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_loc_conf_t, protocol),
      &ngx_http_mesh_protocols },

    { ngx_string("mesh_endpoints"),
      NGX_HTTP_UPS_CONF|NGX_CONF_NOARGS,
      ngx_http_mesh_endpoints,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_control"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_control,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_mesh_module_ctx = {
    ngx_http_mesh_add_variables,           /* preconfiguration */
    ngx_http_mesh_init,                    /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_mesh_create_loc_conf,         /* create location configuration */
    ngx_http_mesh_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_mesh_module = {
    NGX_MODULE_V1,
    &ngx_http_mesh_module_ctx,             /* module context */
    ngx_http_mesh_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_mesh_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_mesh_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->role = NGX_CONF_UNSET_UINT;
    conf->protocol = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_mesh_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_mesh_loc_conf_t  *prev = parent;
    ngx_http_mesh_loc_conf_t  *conf = child;

    ngx_conf_merge_uint_value(conf->role, prev->role, NGX_HTTP_MESH_NONE);
    ngx_conf_merge_uint_value(conf->protocol, prev->protocol, NGX_MESH_HTTP);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_mesh_add_handler(ngx_http_core_main_conf_t *cmcf,
    ngx_http_phases phase, ngx_http_handler_pt handler)
{
    ngx_http_handler_pt  *h;

    h = ngx_array_push(&cmcf->phases[phase].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_init(ngx_conf_t *cf)
{
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (ngx_http_mesh_add_handler(cmcf, NGX_HTTP_ACCESS_PHASE,
                                  ngx_http_mesh_access_handler)
        != NGX_OK
        || ngx_http_mesh_add_handler(cmcf, NGX_HTTP_LOG_PHASE,
                                     ngx_http_mesh_log_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_mesh_body_init();
    ngx_http_mesh_grpc_init();
    ngx_http_mesh_h2_init();

    return ngx_http_mesh_tls_servers(cf);
}


static ngx_int_t
ngx_http_mesh_init_process(ngx_cycle_t *cycle)
{
    ngx_http_mesh_pool_init();
    ngx_http_mesh_warm_init(cycle);
    ngx_http_mesh_cork_init(cycle);
    ngx_http_mesh_records_init();
    ngx_http_mesh_review_init();
    ngx_mesh.changed = ngx_http_mesh_pool_sweep;
    ngx_mesh.review_http = ngx_http_mesh_review_all;
    ngx_mesh.replaced = ngx_http_mesh_warm_table;

    return NGX_OK;
}
