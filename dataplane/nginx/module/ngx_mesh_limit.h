
/*
 * Rate limits of this pod (lines "limit..." of docs/reference/nginx-state.md,
 * contract 7.limits): which of them name a caller, and their leaky buckets.
 *
 * A bucket is that of nginx's limit_req: "excess" is what has come and not
 * run out yet, in thousandths of a request.  Buckets are in memory that all
 * workers share, by policy and number, so that they outlive workers and
 * tables.
 */


#ifndef _NGX_MESH_LIMIT_H_INCLUDED_
#define _NGX_MESH_LIMIT_H_INCLUDED_


#include "ngx_mesh_match.h"
#include "ngx_mesh_policy.h"


/* beyond these a limit limits nothing, and the arithmetic ends */

#define NGX_MESH_LIMIT_RATE_MAX   1000000000000    /* 1,000,000 r/s */
#define NGX_MESH_LIMIT_BURST_MAX  1000000000       /* requests */

#define NGX_MESH_NO_DELAY         ((uint64_t) -1)


typedef struct ngx_mesh_bucket_s  ngx_mesh_bucket_t;
typedef struct ngx_mesh_limited_s  ngx_mesh_limited_t;


typedef struct {
    ngx_mesh_policy_t        *policy;
    uint64_t                  rate;          /* 1/1000000 request per s */
    uint64_t                  burst;         /* 1/1000 request */
    uint64_t                  delay;         /* 1/1000 request */
    ngx_uint_t                status;
    in_port_t                *ports;
    ngx_uint_t                nports;        /* 0: each */
    ngx_mesh_match_t        **matches;
    ngx_uint_t                nmatches;      /* 0: every request */
} ngx_mesh_limit_t;


/* a caller whom a limit names, with its bucket; an empty name: all others */

struct ngx_mesh_limited_s {
    ngx_str_t                 pod;           /* <namespace>/<pod> */
    ngx_mesh_limit_t         *limit;
    uint64_t                  key;           /* of the bucket */
    ngx_mesh_bucket_t        *bucket;        /* NULL: not yet looked for */
    ngx_mesh_limited_t       *next;          /* limit of the same caller */
};


typedef struct {
    ngx_mesh_limit_t         *limits;
    ngx_uint_t                nlimits;

    in_port_t                *ports;         /* of all limits */
    ngx_uint_t                nports;

    ngx_mesh_match_t        **matches;       /* of all limits */
    ngx_uint_t                nmatches;

    ngx_mesh_limited_t       *callers;
    ngx_uint_t                ncallers;

    uint32_t                 *index;         /* open addressing, n + 1 */
    ngx_uint_t                mask;
} ngx_mesh_limits_t;


/* room for so many of each */

ngx_int_t ngx_mesh_limits_allocate(ngx_mesh_limits_t *ls, ngx_pool_t *pool,
    ngx_uint_t limits, ngx_uint_t sources, ngx_uint_t ports,
    ngx_uint_t matches);

/* the latest limit has that bucket for the caller, too */

void ngx_mesh_limits_name(ngx_mesh_limits_t *ls, ngx_str_t *pod,
    ngx_uint_t bucket);

/* the limits that name the caller, in the document's order; or NULL */

ngx_mesh_limited_t *ngx_mesh_limits_find(ngx_mesh_limits_t *ls,
    ngx_str_t *pod);

ngx_uint_t ngx_mesh_limit_holds_for_port(ngx_mesh_limit_t *limit,
    in_port_t port);


/* ngx_mesh_bucket.c */

ngx_int_t ngx_mesh_buckets_map(ngx_log_t *log);

/*
 * Let one request in: NGX_OK, after "wait" ms; NGX_BUSY: refused, the next
 * one is let in after "wait" ms; NGX_DECLINED: there is no room for buckets
 */

ngx_int_t ngx_mesh_bucket_take(ngx_mesh_limited_t *caller, ngx_msec_t now,
    ngx_msec_t *wait);

/* how many requests passed for want of room */

ngx_uint_t ngx_mesh_buckets_missed(void);


#endif /* _NGX_MESH_LIMIT_H_INCLUDED_ */
