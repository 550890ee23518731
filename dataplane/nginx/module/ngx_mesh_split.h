
/*
 * Where a call of a Service goes instead (contract 7.split, 7.breaker): the
 * splits of the document "state", and the circuits that guard its Services.
 */


#ifndef _NGX_MESH_SPLIT_H_INCLUDED_
#define _NGX_MESH_SPLIT_H_INCLUDED_


#include "ngx_mesh_circuit.h"
#include "ngx_mesh_table.h"


/* backends that are split in turn; the compiler lets no circle through */
#define NGX_MESH_SPLIT_DEPTH  8


struct ngx_mesh_share_s {
    ngx_mesh_upstream_t      *upstream;
    ngx_uint_t                weight;
    uint64_t                  below;         /* draws from the one before it
                                                to this are its own */
};


struct ngx_mesh_split_s {
    ngx_mesh_split_t         *next;          /* of the same root */
    ngx_mesh_policy_t        *policy;
    ngx_mesh_upstream_t      *root;
    ngx_uint_t                some;          /* unsigned :1, by matches */

    ngx_mesh_match_t        **matches;
    ngx_uint_t                nmatches;

    ngx_mesh_share_t         *shares;
    ngx_uint_t                nshares;
};


struct ngx_mesh_breaker_s {
    ngx_mesh_guard_t          guard;
    ngx_mesh_policy_t        *policy;
    ngx_mesh_upstream_t      *fallback;      /* NULL: none */
};


/* whether a request fits one of the split's matches */

typedef ngx_uint_t (*ngx_mesh_fits_pt)(ngx_mesh_split_t *split, void *data);


/* what a call of a Service comes to */

typedef struct {
    ngx_mesh_upstream_t      *root;          /* what was called */
    ngx_mesh_upstream_t      *upstream;      /* who answers */
    ngx_mesh_policy_t        *open;          /* nobody: the circuit's */

    /* circuits that an error of this call counts for */

    ngx_mesh_guard_t          guards[NGX_MESH_SPLIT_DEPTH + 1];
    ngx_uint_t                nguards;
} ngx_mesh_direction_t;


void ngx_mesh_split_link(ngx_mesh_table_t *t);
ngx_int_t ngx_mesh_direct(ngx_mesh_direction_t *d, ngx_mesh_upstream_t *root,
    ngx_mesh_fits_pt fits, void *data);
void ngx_mesh_directed_error(ngx_mesh_direction_t *d);


#endif /* _NGX_MESH_SPLIT_H_INCLUDED_ */
