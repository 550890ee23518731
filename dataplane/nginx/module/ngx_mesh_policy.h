
/*
 * The object that asked for something: refusals name it.
 */


#ifndef _NGX_MESH_POLICY_H_INCLUDED_
#define _NGX_MESH_POLICY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_MESH_POLICY_SPLIT = 0,
    NGX_MESH_POLICY_TARGET,
    NGX_MESH_POLICY_LIMIT,
    NGX_MESH_POLICY_BREAKER
} ngx_mesh_policy_e;


typedef struct {
    ngx_mesh_policy_e         kind;
    ngx_str_t                 name;          /* <namespace>/<name> */
} ngx_mesh_policy_t;


#endif /* _NGX_MESH_POLICY_H_INCLUDED_ */
