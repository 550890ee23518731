
/*
 * Where a connection goes, by its original destination, the table and the
 * mode (the tables of docs/reference/nginx-state.md).  Pure judgement: it
 * counts nothing and changes nothing.
 */


#include "ngx_mesh_table.h"


/* who has said nothing for this long goes to where plaintext goes */

#define NGX_MESH_SILENCE_HTTP      60000
#define NGX_MESH_SILENCE_STRICT    10000

/* a sidecar says hello at once, unless its node is very busy */
#define NGX_MESH_SILENCE_INJECTED  5000


static ngx_mesh_incoming_t *
ngx_mesh_incoming_port(ngx_mesh_table_t *t, in_port_t port)
{
    ngx_uint_t  i;

    static ngx_mesh_incoming_t  undeclared = { 0, NGX_MESH_PROTOCOL_NONE, 0 };

    for (i = 0; i < t->nincoming; i++) {
        if (t->incoming[i].port == port) {
            return &t->incoming[i];
        }
    }

    return &undeclared;
}


ngx_uint_t
ngx_mesh_is_refusal(ngx_mesh_target_e target)
{
    return target == NGX_MESH_TO_DENIED_INCOMING
           || target == NGX_MESH_TO_ERROR_INCOMING
           || target == NGX_MESH_TO_ERROR_OUTGOING;
}


static void
ngx_mesh_refuse(ngx_mesh_verdict_t *v, ngx_mesh_target_e target,
    const char *reason)
{
    v->target = target;
    v->reason = reason;
}


static void
ngx_mesh_peek(ngx_mesh_verdict_t *v, ngx_mesh_target_e mesh,
    ngx_mesh_target_e tls, ngx_mesh_target_e plain, ngx_msec_t silence)
{
    v->target = NGX_MESH_TO_PEEK;
    v->mesh = mesh;
    v->tls = tls;
    v->plain = plain;
    v->silence = silence;
}


/* HTTP/1.1 or HTTP/2, ended here */

static void
ngx_mesh_incoming_http(ngx_mesh_table_t *t, ngx_mesh_verdict_t *v,
    ngx_mesh_target_e mtls, ngx_mesh_target_e plaintext)
{
    if (t->transparent || t->mode == NGX_MESH_OFF) {
        ngx_mesh_peek(v, mtls, NGX_MESH_TO_TCP_PLAINTEXT, plaintext,
                      NGX_MESH_SILENCE_HTTP);

    } else if (t->mode == NGX_MESH_PERMISSIVE) {
        ngx_mesh_peek(v, mtls, mtls, plaintext, NGX_MESH_SILENCE_HTTP);

    } else {
        v->target = mtls;
    }
}


static void
ngx_mesh_incoming_strict(ngx_mesh_protocol_e protocol, ngx_mesh_verdict_t *v)
{
    if (protocol == NGX_MESH_PROTOCOL_NONE) {
        ngx_mesh_refuse(v, NGX_MESH_TO_DENIED_INCOMING, "undeclared_port");
        return;
    }

    ngx_mesh_peek(v, NGX_MESH_TO_TCP_MTLS, NGX_MESH_TO_TCP_MTLS,
                  NGX_MESH_TO_DENIED_INCOMING, NGX_MESH_SILENCE_STRICT);
    v->denied = "plaintext";
}


/*
 * Plaintext to a port that the kubelet asks for health: what is asked is
 * judged request by request (ngx_http_mesh_access.c).
 */

static ngx_uint_t
ngx_mesh_incoming_health(ngx_mesh_table_t *t, ngx_mesh_incoming_t *in,
    ngx_mesh_verdict_t *v)
{
    ngx_mesh_target_e  mtls;

    if (!in->health || t->transparent) {
        return 0;
    }

    /* elsewhere plaintext comes in, and that to http and grpc is judged */

    if (t->mode != NGX_MESH_STRICT
        && (!t->access.enforced || in->protocol == NGX_MESH_HTTP
            || in->protocol == NGX_MESH_GRPC))
    {
        return 0;
    }

    mtls = in->protocol == NGX_MESH_HTTP ? NGX_MESH_TO_HTTP_MTLS
           : in->protocol == NGX_MESH_GRPC ? NGX_MESH_TO_GRPC_MTLS
           : NGX_MESH_TO_TCP_MTLS;

    ngx_mesh_peek(v, mtls, mtls, NGX_MESH_TO_GRPC_PLAINTEXT,
                  NGX_MESH_SILENCE_STRICT);

    return 1;
}


/*
 * A server that speaks first would wait for ever together with a client that
 * does, so silence is waited for only as long as TLS may yet come: from a
 * source known as injected, to a port that such a source knows of.
 */

static void
ngx_mesh_incoming_tcp(ngx_mesh_table_t *t, ngx_mesh_protocol_e protocol,
    struct sockaddr *source, ngx_mesh_verdict_t *v)
{
    ngx_uint_t  off, injected;

    off = t->transparent || t->mode == NGX_MESH_OFF;

    if (!off && t->mode == NGX_MESH_STRICT) {
        ngx_mesh_incoming_strict(protocol, v);
        return;
    }

    injected = ngx_mesh_is_injected(t, source);

    if (off && !injected) {
        v->target = NGX_MESH_TO_TCP_PLAINTEXT;
        return;
    }

    ngx_mesh_peek(v, NGX_MESH_TO_TCP_MTLS, NGX_MESH_TO_TCP_PLAINTEXT,
                  NGX_MESH_TO_TCP_PLAINTEXT,
                  injected && !off && protocol != NGX_MESH_PROTOCOL_NONE
                  ? NGX_MESH_SILENCE_INJECTED : t->server_first);
}


/*
 * Who may call is told by certificates alone (contract 7.access): what would
 * be passed unread to the application has none.
 */

static void
ngx_mesh_incoming_enforced(ngx_mesh_verdict_t *v)
{
    static const char  *reason = "access_plaintext";

    if (v->target == NGX_MESH_TO_TCP_PLAINTEXT) {
        ngx_mesh_refuse(v, NGX_MESH_TO_DENIED_INCOMING, reason);
    }

    if (v->tls == NGX_MESH_TO_TCP_PLAINTEXT) {
        v->tls = NGX_MESH_TO_DENIED_INCOMING;
        v->denied = reason;
    }

    if (v->plain == NGX_MESH_TO_TCP_PLAINTEXT) {
        v->plain = NGX_MESH_TO_DENIED_INCOMING;
        v->denied = reason;
        v->silence = NGX_MESH_SILENCE_STRICT;
    }
}


static void
ngx_mesh_incoming_declared(ngx_mesh_table_t *t, ngx_mesh_incoming_t *in,
    struct sockaddr *source, ngx_mesh_verdict_t *v)
{
    if (ngx_mesh_incoming_health(t, in, v)) {
        return;
    }

    if (in->protocol == NGX_MESH_HTTP) {
        ngx_mesh_incoming_http(t, v, NGX_MESH_TO_HTTP_MTLS,
                               NGX_MESH_TO_HTTP_PLAINTEXT);

    } else if (in->protocol == NGX_MESH_GRPC) {
        ngx_mesh_incoming_http(t, v, NGX_MESH_TO_GRPC_MTLS,
                               NGX_MESH_TO_GRPC_PLAINTEXT);

    } else {
        ngx_mesh_incoming_tcp(t, in->protocol, source, v);
    }
}


void
ngx_mesh_route_incoming(ngx_mesh_addr_t *dst, struct sockaddr *source,
    ngx_mesh_verdict_t *v)
{
    ngx_mesh_table_t  *t;

    ngx_memzero(v, sizeof(ngx_mesh_verdict_t));

    t = ngx_mesh.table;

    if (t == NULL) {
        ngx_mesh_refuse(v, NGX_MESH_TO_ERROR_INCOMING, "no_configuration");
        return;
    }

    if (ngx_mesh_addr_is_sidecar(dst)) {
        ngx_mesh_refuse(v, NGX_MESH_TO_ERROR_INCOMING, "sidecar_port");
        return;
    }

    ngx_mesh_incoming_declared(t, ngx_mesh_incoming_port(t, dst->port),
                               source, v);

    if (t->access.enforced && !t->transparent) {
        ngx_mesh_incoming_enforced(v);
    }
}


void
ngx_mesh_route_outgoing(ngx_mesh_addr_t *dst, struct sockaddr *source,
    ngx_mesh_verdict_t *v)
{
    ngx_mesh_table_t  *t;
    ngx_mesh_route_t  *r;

    ngx_memzero(v, sizeof(ngx_mesh_verdict_t));

    t = ngx_mesh.table;

    if (t == NULL) {
        ngx_mesh_refuse(v, NGX_MESH_TO_ERROR_OUTGOING, "no_configuration");
        return;
    }

    if (ngx_mesh_addr_is_sidecar(dst)
        && ngx_mesh_addr_same_host(dst, source))
    {
        ngx_mesh_refuse(v, NGX_MESH_TO_ERROR_OUTGOING, "sidecar_port");
        return;
    }

    /* a pod that calls itself never leaves the pod */

    if (t->transparent || ngx_mesh_addr_same_host(dst, source)) {
        v->target = NGX_MESH_TO_TCP_OUTGOING;
        return;
    }

    r = ngx_mesh_table_find(t, dst);

    if (r && r->upstream->protocol == NGX_MESH_HTTP) {
        v->target = NGX_MESH_TO_HTTP_OUTGOING;

    } else if (r && r->upstream->protocol == NGX_MESH_GRPC) {
        v->target = NGX_MESH_TO_GRPC_OUTGOING;

    } else if (r == NULL && t->mode == NGX_MESH_STRICT) {
        ngx_mesh_refuse(v, NGX_MESH_TO_ERROR_OUTGOING, "unknown_destination");

    } else {
        v->target = NGX_MESH_TO_TCP_OUTGOING;
        v->upstream = r ? r->upstream : NULL;
    }
}


/* whether the table of now still says that this comes in there */

ngx_uint_t
ngx_mesh_accepts(ngx_mesh_addr_t *dst, ngx_mesh_protocol_e protocol)
{
    return ngx_mesh.table
           && !ngx_mesh_addr_is_sidecar(dst)
           && ngx_mesh_incoming_port(ngx_mesh.table, dst->port)->protocol
              == protocol;
}


/* whether the kubelet may ask there for health, in plaintext */

ngx_uint_t
ngx_mesh_accepts_health(ngx_mesh_addr_t *dst)
{
    return ngx_mesh.table
           && !ngx_mesh_addr_is_sidecar(dst)
           && ngx_mesh_incoming_port(ngx_mesh.table, dst->port)->health;
}
