
/*
 * A growing chain of buffers, written with nginx's formats.  A failure is
 * remembered and reported once, at the end.
 */


#include "ngx_mesh_text.h"


#define NGX_MESH_TEXT_BUFFER  16384

/* no piece is longer: a label set or a line of the status */
#define NGX_MESH_TEXT_PIECE   4096


void
ngx_mesh_text_init(ngx_mesh_text_t *t, ngx_pool_t *pool)
{
    ngx_memzero(t, sizeof(ngx_mesh_text_t));

    t->pool = pool;
    t->last = &t->out;
}


void ngx_cdecl
ngx_mesh_text(ngx_mesh_text_t *t, const char *fmt, ...)
{
    u_char       *p;
    va_list       args;
    ngx_chain_t  *cl;

    if (t->failed) {
        return;
    }

    if (t->buf == NULL || t->buf->end - t->buf->last < NGX_MESH_TEXT_PIECE) {

        cl = ngx_alloc_chain_link(t->pool);
        t->buf = cl ? ngx_create_temp_buf(t->pool, NGX_MESH_TEXT_BUFFER)
                    : NULL;

        if (t->buf == NULL) {
            t->failed = 1;
            return;
        }

        cl->buf = t->buf;
        cl->next = NULL;

        *t->last = cl;
        t->last = &cl->next;
    }

    p = t->buf->last;

    va_start(args, fmt);
    t->buf->last = ngx_vslprintf(p, t->buf->end, fmt, args);
    va_end(args);

    t->size += t->buf->last - p;
}


ngx_int_t
ngx_mesh_text_end(ngx_mesh_text_t *t)
{
    if (t->failed || t->buf == NULL) {
        return NGX_ERROR;
    }

    t->buf->last_buf = 1;
    t->buf->last_in_chain = 1;

    return NGX_OK;
}
