
/*
 * Who may call this pod (lines "access" and "target..." of
 * docs/reference/nginx-state.md, contract 7.access).
 *
 * What a caller is allowed is found by its identity, so that targets that
 * name others cost a request nothing.
 */


#ifndef _NGX_MESH_ACCESS_H_INCLUDED_
#define _NGX_MESH_ACCESS_H_INCLUDED_


#include "ngx_mesh_match.h"
#include "ngx_mesh_policy.h"


/* what one TrafficTarget allows its sources */

typedef struct {
    ngx_mesh_policy_t        *policy;
    in_port_t                 port;          /* 0: each */
    ngx_mesh_match_t        **matches;
    ngx_uint_t                nmatches;
    unsigned                  everything:1;
    unsigned                  tcp:1;
} ngx_mesh_grant_t;


typedef struct ngx_mesh_granted_s  ngx_mesh_granted_t;

struct ngx_mesh_granted_s {
    ngx_mesh_grant_t         *grant;
    ngx_mesh_granted_t       *next;
};


typedef struct {
    ngx_str_t                 identity;
    ngx_mesh_granted_t       *first;         /* in the document's order */
    ngx_mesh_granted_t       *last;
} ngx_mesh_caller_t;


typedef struct {
    ngx_uint_t                enforced;      /* unsigned :1 */

    ngx_mesh_grant_t         *grants;
    ngx_uint_t                ngrants;

    ngx_mesh_match_t        **matches;       /* of all grants */
    ngx_uint_t                nmatches;

    ngx_mesh_granted_t       *granted;       /* of all callers */
    ngx_uint_t                ngranted;

    ngx_mesh_caller_t        *callers;
    ngx_uint_t                ncallers;

    uint32_t                 *index;         /* open addressing, n + 1 */
    ngx_uint_t                mask;
} ngx_mesh_access_t;


typedef struct {
    const char               *reason;        /* NULL: it may come in */
    ngx_mesh_policy_t        *policy;        /* that is to blame, or NULL */
    ngx_uint_t                by_path;       /* unsigned :1 */
} ngx_mesh_judgement_t;


/* room for so many of each */

ngx_int_t ngx_mesh_access_allocate(ngx_mesh_access_t *a, ngx_pool_t *pool,
    ngx_uint_t targets, ngx_uint_t sources, ngx_uint_t matches);

/* the latest grant is for that identity, too */

void ngx_mesh_access_name(ngx_mesh_access_t *a, ngx_str_t *identity);

/* "subject" is NULL for a TCP connection; "identity" is empty in plaintext */

void ngx_mesh_access_judge(ngx_mesh_access_t *a, ngx_str_t *identity,
    in_port_t port, ngx_mesh_subject_t *subject, ngx_mesh_judgement_t *j);


#endif /* _NGX_MESH_ACCESS_H_INCLUDED_ */
