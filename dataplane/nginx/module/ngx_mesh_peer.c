
/*
 * The worker's peers, by address, port and identity.  A peer lives as long
 * as a table names it, a request uses it, or a connection to it is pooled.
 */


#include "ngx_mesh_peer.h"


#define NGX_MESH_PEER_KEY_MAX  (sizeof(ngx_mesh_addr_t) + 2048)


static ngx_rbtree_t       ngx_mesh_peers;
static ngx_rbtree_node_t  ngx_mesh_peers_sentinel;


void
ngx_mesh_peers_init(void)
{
    ngx_rbtree_init(&ngx_mesh_peers, &ngx_mesh_peers_sentinel,
                    ngx_str_rbtree_insert_value);
}


ngx_mesh_peer_t *
ngx_mesh_peer_hold(ngx_mesh_addr_t *addr, ngx_str_t *identity)
{
    size_t            len;
    u_char           *p, key[NGX_MESH_PEER_KEY_MAX];
    uint32_t          hash;
    ngx_str_t         name;
    ngx_mesh_peer_t  *peer;

    if (identity->len > NGX_MESH_PEER_KEY_MAX - sizeof(ngx_mesh_addr_t)) {
        return NULL;
    }

    p = ngx_cpymem(key, addr, sizeof(ngx_mesh_addr_t));

    if (identity->len) {
        p = ngx_cpymem(p, identity->data, identity->len);
    }

    len = p - key;
    hash = ngx_crc32_long(key, len);

    name.data = key;
    name.len = len;

    peer = (ngx_mesh_peer_t *) ngx_str_rbtree_lookup(&ngx_mesh_peers, &name,
                                                     hash);
    if (peer) {
        peer->refs++;
        return peer;
    }

    peer = ngx_calloc(sizeof(ngx_mesh_peer_t) + len, ngx_cycle->log);
    if (peer == NULL) {
        return NULL;
    }

    p = (u_char *) peer + sizeof(ngx_mesh_peer_t);
    ngx_memcpy(p, key, len);

    peer->sn.str.data = p;
    peer->sn.str.len = len;
    peer->sn.node.key = hash;

    peer->addr = *addr;
    peer->identity.data = p + sizeof(ngx_mesh_addr_t);
    peer->identity.len = identity->len;

    peer->name.data = peer->name_data;
    peer->name.len = ngx_mesh_addr_text(peer->name_data,
                                        peer->name_data
                                        + NGX_MESH_PEER_NAME_MAX, addr)
                     - peer->name_data;

    peer->socklen = ngx_mesh_addr_sockaddr(addr, &peer->sockaddr);
    peer->refs = 1;

    ngx_queue_init(&peer->idle);
    ngx_rbtree_insert(&ngx_mesh_peers, &peer->sn.node);

    return peer;
}


void
ngx_mesh_peer_release(ngx_mesh_peer_t *peer)
{
    if (--peer->refs) {
        return;
    }

    ngx_rbtree_delete(&ngx_mesh_peers, &peer->sn.node);
    ngx_free(peer);
}


/* "visit" may release the peer that it is given */

void
ngx_mesh_peer_each(void (*visit)(ngx_mesh_peer_t *peer))
{
    ngx_rbtree_node_t  *node, *next;

    if (ngx_mesh_peers.root == ngx_mesh_peers.sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(ngx_mesh_peers.root, ngx_mesh_peers.sentinel);
         node;
         node = next)
    {
        next = ngx_rbtree_next(&ngx_mesh_peers, node);
        visit((ngx_mesh_peer_t *) node);
    }
}


/*
 * The peer of an endpoint, held.  Our own application is called directly, in
 * plaintext: what the sidecar sends is not redirected, so no sidecar would be
 * there to speak TLS, and the bytes do not leave the pod.
 */

ngx_mesh_peer_t *
ngx_mesh_peer_of(ngx_mesh_endpoint_t *endpoint, ngx_uint_t plaintext)
{
    ngx_str_t  none = ngx_null_string;

    if (endpoint->peer->identity.len && plaintext) {
        return ngx_mesh_peer_hold(&endpoint->addr, &none);
    }

    endpoint->peer->refs++;

    return endpoint->peer;
}


/* a place that no table names, in plaintext, as an upstream of one */

ngx_int_t
ngx_mesh_single(ngx_mesh_addr_t *addr, ngx_mesh_upstream_t *u,
    ngx_mesh_endpoint_t *endpoint)
{
    ngx_str_t  none = ngx_null_string;

    endpoint->addr = *addr;
    endpoint->peer = ngx_mesh_peer_hold(addr, &none);

    if (endpoint->peer == NULL) {
        return NGX_ERROR;
    }

    u->port = addr->port;
    u->endpoints = endpoint;
    u->nendpoints = 1;

    return NGX_OK;
}


ngx_uint_t
ngx_mesh_is_tried(ngx_mesh_endpoint_t **tried, ngx_uint_t n,
    ngx_mesh_endpoint_t *endpoint)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (tried[i] == endpoint) {
            return 1;
        }
    }

    return 0;
}


/* a request or connection more, from now on */

void
ngx_mesh_peer_begin(ngx_mesh_peer_t *peer)
{
    peer->active++;
    peer->started += ngx_current_msec;
}


void
ngx_mesh_peer_end(ngx_mesh_peer_t *peer, ngx_msec_t started)
{
    peer->active--;
    peer->started -= started;
}


void
ngx_mesh_peer_fail(ngx_mesh_peer_t *peer)
{
    peer->failing = 1;
    peer->failed = ngx_current_msec;
}


ngx_uint_t
ngx_mesh_peer_is_failing(ngx_mesh_peer_t *peer)
{
    if (peer->failing
        && ngx_current_msec - peer->failed >= NGX_MESH_FAIL_MSEC)
    {
        peer->failing = 0;
    }

    return peer->failing;
}


/* left to others for so long at most; 0: from now on it takes requests */

void
ngx_mesh_peer_warm(ngx_mesh_peer_t *peer, ngx_msec_t within)
{
    peer->warming = (within != 0);
    peer->warm = ngx_current_msec + within;
}


ngx_uint_t
ngx_mesh_peer_is_warming(ngx_mesh_peer_t *peer)
{
    if (peer->warming && (ngx_msec_int_t) (ngx_current_msec - peer->warm) >= 0)
    {
        peer->warming = 0;
    }

    return peer->warming;
}
