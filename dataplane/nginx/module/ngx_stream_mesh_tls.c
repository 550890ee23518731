
/*
 * TLS of relayed TCP: the mesh's own (ngx_mesh_tls.c), with the end of the
 * bytes told by close_notify (ngx_stream_mesh_relay.c).
 */


#include "ngx_stream_mesh.h"


/* tells a sidecar's TLS from an application's own (RFC 7301) */

static ngx_str_t  ngx_stream_mesh_alpn = ngx_string("\x05nsm/1");


ngx_int_t
ngx_stream_mesh_tls_servers(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_stream_ssl_srv_conf_t     *sscf;
    ngx_stream_core_srv_conf_t   **cscfp;
    ngx_stream_core_main_conf_t   *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);
    cscfp = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {

        sscf = cscfp[i]->ctx->srv_conf[ngx_stream_ssl_module.ctx_index];

        if (sscf->ssl.ctx == NULL) {
            continue;
        }

        if (ngx_mesh_tls_serve(sscf->ssl.ctx, 1, NULL, cf->log) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_mesh_secrets_watch(sscf->ssl.ctx);
    }

    return NGX_OK;
}


/* nginx calls this between making the TLS connection and the handshake */

ngx_int_t
ngx_stream_mesh_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_stream_mesh_ctx_t  *ctx = data;

    ngx_connection_t  *c;

    c = pc->connection;

    /* what is read is written as it is: a copy of it gains nothing */

    c->ssl->buffer = 0;

    ngx_mesh_secrets_watch(c->ssl->session_ctx);
    SSL_set_read_ahead(c->ssl->connection, 0);

    return ngx_mesh_tls_call(c, &ctx->peer->identity, &ngx_stream_mesh_alpn);
}


/* a connection that just ends looks the same to nginx as one that said so */

static void
ngx_stream_mesh_info(const SSL *ssl, int where, int ret)
{
    ngx_mesh_tls_t  *tls;

    if (where == SSL_CB_READ_ALERT && (ret & 0xff) == SSL_AD_CLOSE_NOTIFY) {
        tls = ngx_mesh_tls_get(ngx_ssl_get_connection(ssl));

        if (tls) {
            tls->closed = 1;
        }
    }
}


void
ngx_stream_mesh_watch_end(ngx_connection_t *c)
{
    if (c->ssl) {
        SSL_set_info_callback(c->ssl->connection, ngx_stream_mesh_info);
    }
}


ngx_uint_t
ngx_stream_mesh_is_cut_short(ngx_connection_t *c)
{
    ngx_mesh_tls_t  *tls;

    tls = ngx_mesh_tls_get(c);

    return tls && !tls->closed;
}


/* sessions are never resumed: each handshake proves who is there */

void
ngx_stream_mesh_save_session(ngx_peer_connection_t *pc, void *data)
{
    /* void */
}
