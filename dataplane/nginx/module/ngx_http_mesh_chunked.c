
/*
 * The framing of chunked request bodies.  nginx takes a bare line feed for the
 * end of a chunk's line, and extensions and trailers of any length and with
 * any byte; another server on the way may see other requests in that (RFC
 * 9112, 2.2 and 7.1).  So the bytes are looked at before nginx parses them:
 * those that came with the header, then those that are read for the body.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


/* of one chunk's extensions, of all trailers */

#define NGX_HTTP_MESH_CHUNKED_EXTRA  16384


typedef enum {
    NGX_HTTP_MESH_CHUNKED_START = 0,
    NGX_HTTP_MESH_CHUNKED_SIZE,
    NGX_HTTP_MESH_CHUNKED_EXTENSION,
    NGX_HTTP_MESH_CHUNKED_SIZE_LF,
    NGX_HTTP_MESH_CHUNKED_DATA,
    NGX_HTTP_MESH_CHUNKED_DATA_CR,
    NGX_HTTP_MESH_CHUNKED_DATA_LF,
    NGX_HTTP_MESH_CHUNKED_LINE,
    NGX_HTTP_MESH_CHUNKED_TRAILER,
    NGX_HTTP_MESH_CHUNKED_TRAILER_LF,
    NGX_HTTP_MESH_CHUNKED_LAST_LF
} ngx_http_mesh_chunked_e;


struct ngx_http_mesh_chunked_s {
    ngx_http_mesh_chunked_e   state;
    ngx_uint_t                digits;
    size_t                    extra;
    off_t                     size;          /* of the chunk, what is left */
    ngx_recv_pt               recv;          /* the connection's own */
};


static ssize_t ngx_http_mesh_chunked_recv(ngx_connection_t *c, u_char *buf,
    size_t size);


static ngx_int_t
ngx_http_mesh_chunked_hex(u_char ch)
{
    u_char  c;

    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    c = (u_char) (ch | 0x20);

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : NGX_ERROR;
}


static ngx_int_t
ngx_http_mesh_chunked_size(ngx_http_mesh_chunked_t *ctx, u_char ch)
{
    ngx_int_t  digit;

    digit = ngx_http_mesh_chunked_hex(ch);

    if (digit != NGX_ERROR) {
        if (ctx->size > NGX_MAX_OFF_T_VALUE / 16) {
            return NGX_ERROR;
        }

        ctx->size = ctx->size * 16 + digit;
        ctx->digits++;

        return NGX_OK;
    }

    if (ctx->digits == 0) {
        return NGX_ERROR;
    }

    switch (ch) {

    case CR:
        ctx->state = NGX_HTTP_MESH_CHUNKED_SIZE_LF;
        return NGX_OK;

    case ';':
    case ' ':
    case '\t':
        ctx->state = NGX_HTTP_MESH_CHUNKED_EXTENSION;
        return NGX_OK;

    default:
        return NGX_ERROR;
    }
}


/* extensions and trailers: any text on one line, of which there is an end */

static ngx_int_t
ngx_http_mesh_chunked_text(ngx_http_mesh_chunked_t *ctx, u_char ch)
{
    if (++ctx->extra > NGX_HTTP_MESH_CHUNKED_EXTRA) {
        return NGX_ERROR;
    }

    return (ch < ' ' && ch != '\t') || ch == 0x7f ? NGX_ERROR : NGX_OK;
}


/* one byte that is not data; NGX_DONE: the body ends with it */

static ngx_int_t
ngx_http_mesh_chunked_byte(ngx_http_mesh_chunked_t *ctx, u_char ch)
{
    switch (ctx->state) {

    case NGX_HTTP_MESH_CHUNKED_START:
        ctx->size = 0;
        ctx->digits = 0;
        ctx->extra = 0;
        ctx->state = NGX_HTTP_MESH_CHUNKED_SIZE;
        return ngx_http_mesh_chunked_size(ctx, ch);

    case NGX_HTTP_MESH_CHUNKED_SIZE:
        return ngx_http_mesh_chunked_size(ctx, ch);

    case NGX_HTTP_MESH_CHUNKED_EXTENSION:
        if (ch == CR) {
            ctx->state = NGX_HTTP_MESH_CHUNKED_SIZE_LF;
            return NGX_OK;
        }

        return ngx_http_mesh_chunked_text(ctx, ch);

    case NGX_HTTP_MESH_CHUNKED_SIZE_LF:
        ctx->state = ctx->size ? NGX_HTTP_MESH_CHUNKED_DATA
                               : NGX_HTTP_MESH_CHUNKED_LINE;
        return ch == LF ? NGX_OK : NGX_ERROR;

    case NGX_HTTP_MESH_CHUNKED_DATA_CR:
        ctx->state = NGX_HTTP_MESH_CHUNKED_DATA_LF;
        return ch == CR ? NGX_OK : NGX_ERROR;

    case NGX_HTTP_MESH_CHUNKED_DATA_LF:
        ctx->state = NGX_HTTP_MESH_CHUNKED_START;
        return ch == LF ? NGX_OK : NGX_ERROR;

    case NGX_HTTP_MESH_CHUNKED_LINE:
        if (ch == CR) {
            ctx->state = NGX_HTTP_MESH_CHUNKED_LAST_LF;
            return NGX_OK;
        }

        /* no line is folded */

        ctx->state = NGX_HTTP_MESH_CHUNKED_TRAILER;
        return (ch == ' ' || ch == '\t')
               ? NGX_ERROR : ngx_http_mesh_chunked_text(ctx, ch);

    case NGX_HTTP_MESH_CHUNKED_TRAILER:
        if (ch == CR) {
            ctx->state = NGX_HTTP_MESH_CHUNKED_TRAILER_LF;
            return NGX_OK;
        }

        return ngx_http_mesh_chunked_text(ctx, ch);

    case NGX_HTTP_MESH_CHUNKED_TRAILER_LF:
        ctx->state = NGX_HTTP_MESH_CHUNKED_LINE;
        return ch == LF ? NGX_OK : NGX_ERROR;

    default: /* NGX_HTTP_MESH_CHUNKED_LAST_LF */
        return ch == LF ? NGX_DONE : NGX_ERROR;
    }
}


/* NGX_OK: more is to come, NGX_DONE: the body has ended, NGX_ERROR */

static ngx_int_t
ngx_http_mesh_chunked_read(ngx_http_mesh_chunked_t *ctx, u_char *p,
    u_char *last)
{
    off_t      n;
    ngx_int_t  rc;

    while (p < last) {

        if (ctx->state == NGX_HTTP_MESH_CHUNKED_DATA) {
            n = ngx_min(ctx->size, (off_t) (last - p));

            p += n;
            ctx->size -= n;

            if (ctx->size == 0) {
                ctx->state = NGX_HTTP_MESH_CHUNKED_DATA_CR;
            }

            continue;
        }

        rc = ngx_http_mesh_chunked_byte(ctx, *p++);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


/* of a request whose headers are there; NGX_ERROR: it is malformed */

ngx_int_t
ngx_http_mesh_chunked_begin(ngx_http_mesh_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_mesh_chunked_t  *chunked;

    r = ctx->request;

    if (!r->headers_in.chunked || r->http_version >= NGX_HTTP_VERSION_20) {
        return NGX_OK;
    }

    chunked = ngx_pcalloc(r->pool, sizeof(ngx_http_mesh_chunked_t));
    if (chunked == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_mesh_chunked_read(chunked, r->header_in->pos,
                                    r->header_in->last);

    if (rc == NGX_OK) {
        chunked->recv = r->connection->recv;
        ctx->chunked = chunked;

        r->connection->recv = ngx_http_mesh_chunked_recv;
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* the body has ended, or the request before it */

void
ngx_http_mesh_chunked_end(ngx_http_mesh_ctx_t *ctx)
{
    if (ctx->chunked) {
        ctx->request->connection->recv = ctx->chunked->recv;
        ctx->chunked = NULL;
    }
}


static ssize_t
ngx_http_mesh_chunked_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t               n;
    ngx_int_t             rc;
    ngx_http_mesh_ctx_t  *ctx;

    ctx = ngx_http_mesh_ctx(((ngx_http_request_t *) c->data)->main);

    n = ctx->chunked->recv(c, buf, size);

    if (n <= 0) {
        return n;
    }

    rc = ngx_http_mesh_chunked_read(ctx->chunked, buf, buf + n);

    if (rc == NGX_DONE) {
        ngx_http_mesh_chunked_end(ctx);
    }

    if (rc != NGX_ERROR) {
        return n;
    }

    if (ctx->refusal == NULL) {
        ctx->refusal = "malformed";
        ngx_mesh_count_refusal(NGX_MESH_INCOMING, ctx->refusal);
    }

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "mesh: malformed framing of a chunked body");

    return NGX_ERROR;
}
