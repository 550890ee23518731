
/*
 * Buffers that all connections of a worker share: one is taken for as long
 * as bytes are in it, so that busy connections find theirs in the
 * processor's cache, and idle ones hold none.
 */


#include "ngx_mesh_channel.h"


/* kept for the next one */
#define NGX_MESH_BUFFERS_SPARE  8


static u_char      *ngx_mesh_buffers_spare[NGX_MESH_BUFFERS_SPARE];
static ngx_uint_t   ngx_mesh_buffers_nspare;


/* of NGX_MESH_BUFFER_SIZE */

u_char *
ngx_mesh_buffer_take(ngx_log_t *log)
{
    if (ngx_mesh_buffers_nspare) {
        return ngx_mesh_buffers_spare[--ngx_mesh_buffers_nspare];
    }

    return ngx_alloc(NGX_MESH_BUFFER_SIZE, log);
}


void
ngx_mesh_buffer_give(u_char *buffer)
{
    if (ngx_mesh_buffers_nspare == NGX_MESH_BUFFERS_SPARE) {
        ngx_free(buffer);
        return;
    }

    ngx_mesh_buffers_spare[ngx_mesh_buffers_nspare++] = buffer;
}
