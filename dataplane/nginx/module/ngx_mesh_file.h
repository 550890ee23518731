
/*
 * A file that the agent writes for the sidecar.
 */


#ifndef _NGX_MESH_FILE_H_INCLUDED_
#define _NGX_MESH_FILE_H_INCLUDED_


#include "ngx_mesh.h"


typedef struct {
    const char               *name;
    size_t                    max;
    u_char                    digest[32];
    unsigned                  known:1;
} ngx_mesh_file_t;


typedef ngx_int_t (*ngx_mesh_take_pt)(ngx_pool_t *pool, ngx_str_t *content,
    ngx_str_t *error);


/* NGX_OK: taken over; NGX_DECLINED: as before; NGX_ERROR: refused */

ngx_int_t ngx_mesh_file_take(ngx_mesh_file_t *file, ngx_mesh_take_pt take,
    ngx_str_t *error, ngx_log_t *log);


#endif /* _NGX_MESH_FILE_H_INCLUDED_ */
