
/*
 * Peers: what a worker remembers of one place that it calls, across tables.
 * A peer is an address, a port and the identity that must answer there
 * (empty: plaintext); its pooled connections can serve nobody else, so an
 * address that a pod of another identity took over is another peer.
 */


#ifndef _NGX_MESH_PEER_H_INCLUDED_
#define _NGX_MESH_PEER_H_INCLUDED_


#include "ngx_mesh.h"
#include "ngx_mesh_table.h"


#define NGX_MESH_PEER_NAME_MAX  (INET6_ADDRSTRLEN + sizeof("[]:65535"))

/* how long a peer that failed is left out */
#define NGX_MESH_FAIL_MSEC      5000

/* a measured time counts half after this long without a newer one */
#define NGX_MESH_HALF_LIFE      2000


typedef struct {
    uint64_t                  average;       /* 1/256 ms */
    ngx_msec_t                updated;
} ngx_mesh_average_t;


struct ngx_mesh_peer_s {
    ngx_str_node_t            sn;            /* str: address and identity */

    ngx_mesh_addr_t           addr;
    ngx_str_t                 identity;
    ngx_str_t                 name;          /* as text, for logs */
    u_char                    name_data[NGX_MESH_PEER_NAME_MAX];
    ngx_sockaddr_t            sockaddr;
    socklen_t                 socklen;

    ngx_uint_t                refs;          /* tables, requests, idle */
    ngx_uint_t                mark;          /* of the last table with it */
    ngx_uint_t                came;          /* and of the first in a row */
    ngx_uint_t                active;        /* requests in flight */
    ngx_msec_t                started;       /* sum of their start times */
    ngx_queue_t               idle;
    ngx_uint_t                nidle;

    uint64_t                  counter_hash;  /* of incoming requests */
    ngx_uint_t                counter_slot;
    uint32_t                  histogram;

    ngx_mesh_average_t        header;
    ngx_mesh_average_t        last_byte;

    ngx_msec_t                failed;
    ngx_msec_t                warm;          /* from then on at the latest */
    unsigned                  failing:1;
    unsigned                  warming:1;     /* first connections are made */
    unsigned                  planned:1;     /* are to be made */
};


ngx_mesh_peer_t *ngx_mesh_peer_hold(ngx_mesh_addr_t *addr,
    ngx_str_t *identity);
void ngx_mesh_peer_release(ngx_mesh_peer_t *peer);
void ngx_mesh_peer_each(void (*visit)(ngx_mesh_peer_t *peer));
void ngx_mesh_peers_init(void);

ngx_mesh_peer_t *ngx_mesh_peer_of(ngx_mesh_endpoint_t *endpoint,
    ngx_uint_t plaintext);
ngx_int_t ngx_mesh_single(ngx_mesh_addr_t *addr, ngx_mesh_upstream_t *u,
    ngx_mesh_endpoint_t *endpoint);
ngx_uint_t ngx_mesh_is_tried(ngx_mesh_endpoint_t **tried, ngx_uint_t n,
    ngx_mesh_endpoint_t *endpoint);

void ngx_mesh_peer_begin(ngx_mesh_peer_t *peer);
void ngx_mesh_peer_end(ngx_mesh_peer_t *peer, ngx_msec_t started);
void ngx_mesh_peer_fail(ngx_mesh_peer_t *peer);
ngx_uint_t ngx_mesh_peer_is_failing(ngx_mesh_peer_t *peer);
void ngx_mesh_peer_warm(ngx_mesh_peer_t *peer, ngx_msec_t within);
ngx_uint_t ngx_mesh_peer_is_warming(ngx_mesh_peer_t *peer);

/* ngx_mesh_balance.c */

typedef ngx_uint_t (*ngx_mesh_usable_pt)(ngx_mesh_endpoint_t *endpoint,
    void *data);

ngx_mesh_endpoint_t *ngx_mesh_balance(ngx_mesh_upstream_t *u,
    ngx_mesh_usable_pt usable, void *data);
void ngx_mesh_average_add(ngx_mesh_average_t *a, ngx_msec_t ms);


#endif /* _NGX_MESH_PEER_H_INCLUDED_ */
