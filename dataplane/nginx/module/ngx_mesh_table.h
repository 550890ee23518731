
/*
 * The table: one applied version of the document "state" (its format is
 * docs/reference/nginx-state.md).  It never changes after it is linked, but
 * for the balancer's notes; a request holds a reference until it ends.
 */


#ifndef _NGX_MESH_TABLE_H_INCLUDED_
#define _NGX_MESH_TABLE_H_INCLUDED_


#include "ngx_mesh.h"
#include "ngx_mesh_access.h"
#include "ngx_mesh_limit.h"
#include "ngx_mesh_match.h"
#include "ngx_mesh_policy.h"


#define NGX_MESH_DOCUMENT_MAX   (64 * 1024 * 1024)
#define NGX_MESH_LINE_MAX       4096
#define NGX_MESH_FIELDS_MAX     8
#define NGX_MESH_WRONG_MAX      16


typedef enum {
    NGX_MESH_ROUND_ROBIN = 0,
    NGX_MESH_LEAST_CONN,
    NGX_MESH_LEAST_TIME,
    NGX_MESH_LEAST_TIME_LAST_BYTE,
    NGX_MESH_LEAST_TIME_INFLIGHT,
    NGX_MESH_RANDOM,
    NGX_MESH_RANDOM_TWO_LEAST_CONN,
    NGX_MESH_RANDOM_TWO_LEAST_TIME,
    NGX_MESH_RANDOM_TWO_LAST_BYTE
} ngx_mesh_lb_e;


struct ngx_mesh_endpoint_s {
    ngx_mesh_addr_t           addr;
    ngx_str_t                 identity;      /* empty: plaintext */
    ngx_str_t                 pod;           /* empty: unknown */
    ngx_mesh_peer_t          *peer;
    uint64_t                  counter_hash;
    ngx_uint_t                counter_slot;
    uint32_t                  histogram;     /* used last, + 1 */
};


struct ngx_mesh_upstream_s {
    ngx_str_t                 name;
    in_port_t                 port;
    ngx_mesh_protocol_e       protocol;
    ngx_mesh_lb_e             lb;
    ngx_mesh_endpoint_t      *endpoints;
    ngx_uint_t                nendpoints;
    ngx_uint_t                next;          /* round robin */
    ngx_uint_t                pod;           /* unsigned :1, named so */

    ngx_msec_t                timeout;       /* 0: none */
    ngx_uint_t                retries;
    ngx_uint_t                retry_any;     /* unsigned :1 */
    ngx_uint_t                request;       /* unsigned :1, line seen */

    /* a pod has those of the headless Service that it is called as */

    ngx_mesh_split_t         *splits;        /* in the order of trial */
    ngx_mesh_split_t         *last_split;
    ngx_mesh_breaker_t       *breaker;       /* NULL: none */
};


typedef struct {
    ngx_mesh_addr_t           addr;
    ngx_mesh_upstream_t      *upstream;
} ngx_mesh_route_t;


typedef struct {
    in_port_t                 port;
    ngx_mesh_protocol_e       protocol;

    /* the kubelet asks here for health, in plaintext whatever the mode */
    ngx_uint_t                health;
} ngx_mesh_incoming_t;


struct ngx_mesh_table_s {
    ngx_pool_t               *pool;
    ngx_uint_t                refs;

    ngx_str_t                 revision;
    ngx_str_t                 trust_domain;
    ngx_mesh_mode_e           mode;

    off_t                     client_max_body_size;
    ngx_uint_t                transparent;   /* unsigned :1 */
    ngx_uint_t                error_log_level;
    ngx_uint_t                log_json;      /* unsigned :1 */

    ngx_mesh_incoming_t      *incoming;
    ngx_uint_t                nincoming;

    u_char                   *injected;      /* sorted addresses */
    ngx_uint_t                ninjected;
    ngx_msec_t                server_first;

    ngx_str_t                *identities;
    ngx_uint_t                nidentities;

    /* those of "upstream" lines, then one per "pod" line */
    ngx_mesh_upstream_t      *upstreams;
    ngx_uint_t                nupstreams;

    ngx_mesh_endpoint_t      *endpoints;
    ngx_uint_t                nendpoints;

    ngx_mesh_route_t         *routes;
    ngx_uint_t                nroutes;

    ngx_mesh_policy_t        *policies;
    ngx_uint_t                npolicies;

    ngx_mesh_match_t         *matches;
    ngx_uint_t                nmatches;

    /* lines whose patterns cannot be searched, and why; the first of them */
    ngx_str_t                 wrong[NGX_MESH_WRONG_MAX];
    ngx_uint_t                nwrong;

    ngx_mesh_split_t         *splits;
    ngx_uint_t                nsplits;
    ngx_mesh_match_t        **split_matches;
    ngx_uint_t                nsplit_matches;
    ngx_mesh_share_t         *shares;
    ngx_uint_t                nshares;

    ngx_mesh_breaker_t       *breakers;
    ngx_uint_t                nbreakers;

    ngx_mesh_access_t         access;
    ngx_mesh_limits_t         limits;

    uint32_t                 *index;         /* open addressing, n + 1 */
    ngx_uint_t                mask;
};


/* ngx_mesh_fields.c: one line of the document */

typedef struct {
    ngx_uint_t                line;
    ngx_str_t                 field[NGX_MESH_FIELDS_MAX];
    ngx_uint_t                nfields;
    u_char                   *error;         /* NGX_MESH_ERROR_MAX bytes */
    size_t                    error_len;
} ngx_mesh_line_t;

ngx_int_t ngx_mesh_line_split(ngx_mesh_line_t *l, u_char *start, u_char *end);
ngx_int_t ngx_mesh_line_error(ngx_mesh_line_t *l, const char *what,
    ngx_str_t *got, const char *takes);
ngx_int_t ngx_mesh_line_needs(ngx_mesh_line_t *l, ngx_uint_t n);
ngx_int_t ngx_mesh_line_number(ngx_mesh_line_t *l, ngx_uint_t i,
    const char *what, ngx_uint_t min, ngx_uint_t max, ngx_uint_t *value);
ngx_int_t ngx_mesh_line_ip(ngx_mesh_line_t *l, ngx_uint_t i,
    ngx_mesh_addr_t *addr);
ngx_int_t ngx_mesh_line_addr(ngx_mesh_line_t *l, ngx_uint_t i,
    ngx_mesh_addr_t *addr);
ngx_int_t ngx_mesh_line_protocol(ngx_mesh_line_t *l, ngx_uint_t i,
    ngx_mesh_protocol_e *protocol);
ngx_int_t ngx_mesh_line_enum(ngx_mesh_line_t *l, ngx_uint_t i,
    const char *what, const char *takes, const ngx_conf_enum_t *values,
    ngx_uint_t *value);
ngx_int_t ngx_mesh_line_spiffe_id(ngx_mesh_line_t *l, ngx_uint_t i,
    ngx_str_t *trust_domain);
ngx_uint_t ngx_mesh_is_spiffe_id(ngx_str_t *id, ngx_str_t *trust_domain);
ngx_uint_t ngx_mesh_is_trust_domain(ngx_str_t *name);


/* ngx_mesh_parse.c: takes over "document", which lies in "pool" */

ngx_mesh_table_t *ngx_mesh_parse(ngx_pool_t *pool, ngx_str_t *document,
    ngx_str_t *error);


/* ngx_mesh_injected.c */

void ngx_mesh_injected_add(ngx_mesh_table_t *t, ngx_mesh_addr_t *addr);
void ngx_mesh_injected_sort(ngx_mesh_table_t *t);
ngx_uint_t ngx_mesh_is_injected(ngx_mesh_table_t *t, struct sockaddr *source);


/* ngx_mesh_table.c */

ngx_int_t ngx_mesh_table_index(ngx_mesh_table_t *t, ngx_uint_t n);
ngx_mesh_route_t *ngx_mesh_table_find(ngx_mesh_table_t *t,
    ngx_mesh_addr_t *addr);
ngx_int_t ngx_mesh_table_insert(ngx_mesh_table_t *t, ngx_uint_t n);
ngx_int_t ngx_mesh_table_link(ngx_mesh_table_t *t);
void ngx_mesh_table_unlink(ngx_mesh_table_t *t);
void ngx_mesh_table_release(ngx_mesh_table_t *t);


#endif /* _NGX_MESH_TABLE_H_INCLUDED_ */
