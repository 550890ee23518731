
/*
 * Interim answers (1xx) of an endpoint: nginx takes the first answer for the
 * last.  They are passed on, but for "100 Continue", which nobody asked the
 * endpoint for (RFC 9110, 15.2), and the answer after them is the answer.
 */


#include "ngx_http_mesh.h"


static ngx_int_t ngx_http_mesh_interim_reinit(ngx_http_request_t *r);
static ngx_int_t ngx_http_mesh_interim_process(ngx_http_request_t *r);


static void
ngx_http_mesh_interim_begin(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    ctx->process_header = u->process_header;
    u->process_header = ngx_http_mesh_interim_process;
}


void
ngx_http_mesh_interim_watch(ngx_http_mesh_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    ctx->reinit_request = u->reinit_request;
    u->reinit_request = ngx_http_mesh_interim_reinit;

    ngx_http_mesh_interim_begin(ctx);
}


/* before each further attempt, and between two answers */

static ngx_int_t
ngx_http_mesh_interim_reinit(ngx_http_request_t *r)
{
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(r);

    if (ctx->reinit_request(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->head = NULL;

    ngx_http_mesh_interim_begin(ctx);

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_interim_send(ngx_http_request_t *r, u_char *head, u_char *last)
{
    ngx_buf_t    *b;
    ngx_chain_t   out;

    b = ngx_create_temp_buf(r->pool, last - head);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, head, last - head);
    b->flush = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_write_filter(r, &out) == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* as nginx does before a further attempt, but what came later is kept */

static ngx_int_t
ngx_http_mesh_interim_forget(ngx_http_request_t *r)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u->reinit_request(r) != NGX_OK) {
        return NGX_ERROR;
    }

    u->keepalive = 0;
    u->state->status = 0;

    ngx_memzero(&u->headers_in, sizeof(ngx_http_upstream_headers_in_t));
    u->headers_in.content_length_n = -1;
    u->headers_in.last_modified_time = -1;

    if (ngx_list_init(&u->headers_in.headers, r->pool, 8,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_list_init(&u->headers_in.trailers, r->pool, 2,
                         sizeof(ngx_table_elt_t));
}


static ngx_uint_t
ngx_http_mesh_is_interim(ngx_uint_t status)
{
    return status >= NGX_HTTP_CONTINUE && status < NGX_HTTP_OK
           && status != NGX_HTTP_SWITCHING_PROTOCOLS;
}


static ngx_int_t
ngx_http_mesh_interim_process(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;
    ngx_http_mesh_ctx_t  *ctx;

    u = r->upstream;
    ctx = ngx_http_mesh_ctx(r);

    for ( ;; ) {

        if (ctx->head == NULL) {
            ctx->head = u->buffer.pos;
        }

        rc = ctx->process_header(r);

        /* the status line was the first of two steps */

        if (u->process_header != ngx_http_mesh_interim_process) {
            ngx_http_mesh_interim_begin(ctx);
        }

        status = u->headers_in.status_n;

        if (rc != NGX_OK) {
            return rc;
        }

        if (!ngx_http_mesh_is_interim(status)) {

            /* nginx decides about another attempt after this */

            if (ctx->conf && ngx_http_mesh_told(ctx)) {
                ngx_http_mesh_retry_no_answer(ctx);
            }

            return NGX_OK;
        }

        if (status != NGX_HTTP_CONTINUE
            && r->http_version >= NGX_HTTP_VERSION_11
            && ngx_http_mesh_interim_send(r, ctx->head, u->buffer.pos)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_mesh_interim_forget(r) != NGX_OK) {
            return NGX_ERROR;
        }

        if (u->buffer.pos == u->buffer.last) {
            return NGX_AGAIN;
        }
    }
}
