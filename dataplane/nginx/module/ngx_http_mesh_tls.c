
/*
 * TLS as the mesh speaks it (contract 3.modes): the SVID and the trust
 * bundle of now for each handshake, in both directions, without a reload.
 */


#include "ngx_http_mesh.h"


/* tells a sidecar's TLS from an application's own (RFC 7301) */

static ngx_str_t  ngx_http_mesh_alpn = ngx_string("\x05nsm/1\x08http/1.1");
static ngx_str_t  ngx_http_mesh_alpn_grpc = ngx_string("\x05nsm/1\x02h2");


ngx_int_t
ngx_http_mesh_tls_servers(ngx_conf_t *cf)
{
    ngx_uint_t                   i, identity;
    ngx_http_ssl_srv_conf_t     *sscf;
    ngx_http_mesh_loc_conf_t    *conf;
    ngx_http_core_srv_conf_t   **cscfp;
    ngx_http_core_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscfp = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {

        sscf = cscfp[i]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

        if (sscf->ssl.ctx == NULL) {
            continue;
        }

        conf = cscfp[i]->ctx->loc_conf[ngx_http_mesh_module.ctx_index];

        identity = conf->role == NGX_HTTP_MESH_INCOMING;

        if (ngx_mesh_tls_serve(sscf->ssl.ctx, identity,
                               ngx_http_mesh_records_hello, cf->log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (identity) {
            ngx_mesh_secrets_watch(sscf->ssl.ctx);
        }
    }

    return NGX_OK;
}


/* between making the TLS connection and the handshake */

ngx_int_t
ngx_http_mesh_tls_call(ngx_connection_t *c, ngx_mesh_peer_t *peer,
    ngx_mesh_protocol_e protocol)
{
    return ngx_mesh_tls_call(c, &peer->identity,
                             protocol == NGX_MESH_GRPC
                             ? &ngx_http_mesh_alpn_grpc
                             : &ngx_http_mesh_alpn);
}


/* nginx calls this between making the TLS connection and the handshake */

ngx_int_t
ngx_http_mesh_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_mesh_ctx_t  *ctx = data;

    ngx_http_mesh_warm_learn(ctx->protocol, ctx->request->upstream->conf->ssl);

    return ngx_http_mesh_tls_call(pc->connection, ctx->peer, ctx->protocol);
}


/* sessions are never resumed: each handshake proves who is there */

void
ngx_http_mesh_save_session(ngx_peer_connection_t *pc, void *data)
{
    /* void */
}
