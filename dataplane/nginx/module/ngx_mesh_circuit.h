
/*
 * Circuits (contract 7.breaker): errors within a sliding window of time open
 * one, and the same length of time closes it.  They are in memory that all
 * workers share, by policy, so that they outlive workers and tables.
 */


#ifndef _NGX_MESH_CIRCUIT_H_INCLUDED_
#define _NGX_MESH_CIRCUIT_H_INCLUDED_


#include "ngx_mesh.h"
#include "ngx_mesh_policy.h"


#define NGX_MESH_CIRCUITS             2048
#define NGX_MESH_CIRCUIT_ERRORS_MAX   1000
#define NGX_MESH_CIRCUIT_MSEC_MAX     ((ngx_msec_t) 1 << 40)


typedef struct ngx_mesh_circuit_s  ngx_mesh_circuit_t;


/* a circuit as the policy of some table wants it */

typedef struct {
    ngx_mesh_circuit_t       *circuit;       /* NULL: it never opens */
    uint64_t                  hash;          /* of the policy's name */
    ngx_uint_t                errors;
    ngx_msec_t                window;
    ngx_uint_t                counter_slot;  /* of its openings */
    uint64_t                  counter_hash;
} ngx_mesh_guard_t;


typedef struct {
    ngx_uint_t                errors;        /* within the window */
    ngx_msec_t                closes;        /* in so long; 0: is closed */
} ngx_mesh_circuit_view_t;


ngx_int_t ngx_mesh_circuits_map(ngx_log_t *log);
void ngx_mesh_circuits_link(ngx_mesh_table_t *t);

/* how many of a table never open for want of room, and whose the first is */

ngx_uint_t ngx_mesh_circuits_lost(ngx_mesh_table_t *t,
    ngx_mesh_policy_t **first);
void ngx_mesh_circuits_tell(ngx_mesh_table_t *t);

ngx_uint_t ngx_mesh_circuit_may_open(ngx_mesh_guard_t *g);
ngx_uint_t ngx_mesh_circuit_is_open(ngx_mesh_guard_t *g);
void ngx_mesh_circuit_error(ngx_mesh_guard_t *g);
void ngx_mesh_circuit_view(ngx_mesh_guard_t *g, ngx_mesh_circuit_view_t *v);


#endif /* _NGX_MESH_CIRCUIT_H_INCLUDED_ */
