
/*
 * Writing a response body piece by piece: status JSON, metrics.
 */


#ifndef _NGX_MESH_TEXT_H_INCLUDED_
#define _NGX_MESH_TEXT_H_INCLUDED_


#include "ngx_mesh.h"


typedef struct {
    ngx_pool_t               *pool;
    ngx_chain_t              *out;
    ngx_chain_t             **last;
    ngx_buf_t                *buf;
    off_t                     size;
    unsigned                  failed:1;
} ngx_mesh_text_t;


void ngx_mesh_text_init(ngx_mesh_text_t *t, ngx_pool_t *pool);
void ngx_cdecl ngx_mesh_text(ngx_mesh_text_t *t, const char *fmt, ...);
ngx_int_t ngx_mesh_text_end(ngx_mesh_text_t *t);


#endif /* _NGX_MESH_TEXT_H_INCLUDED_ */
