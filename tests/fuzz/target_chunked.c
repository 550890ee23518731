
/*
 * Chunked bodies: the first byte of the input says how many of the others
 * came with the request's header, the second how many come by one read.
 *
 * What the module passes ends where nginx's parser finds the end; what that
 * one takes for a whole body without such an end, the module has refused.
 */


#include "fuzz.h"
#include "ngx_http_mesh.h"


#define TARGET_BODY  65536


static ngx_http_mesh_ctx_t   target_ctx;
static const u_char         *target_rest;    /* not read yet */
static size_t                target_size;
static size_t                target_piece;


ngx_http_mesh_ctx_t *
ngx_http_mesh_ctx(ngx_http_request_t *r)
{
    return &target_ctx;
}


static ssize_t
target_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    size = ngx_min(size, ngx_min(target_size, target_piece));

    if (size == 0) {
        return NGX_AGAIN;
    }

    ngx_memcpy(buf, target_rest, size);

    target_rest += size;
    target_size -= size;

    return size;
}


/* NGX_DONE: the body has ended within what was read, NGX_AGAIN: it has not */

static ngx_int_t
target_module(ngx_http_request_t *r)
{
    u_char   *buf;
    ssize_t   n;

    if (ngx_http_mesh_chunked_begin(&target_ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    while (target_ctx.chunked) {
        buf = malloc(target_piece);
        n = r->connection->recv(r->connection, buf, target_piece);
        free(buf);

        if (n <= 0) {
            return n;
        }
    }

    fuzz_must(r->connection->recv == target_recv);

    return NGX_DONE;
}


/* as nginx reads it, with all of it there; "*end" is behind the last byte */

static ngx_int_t
target_nginx(ngx_http_request_t *r, u_char *data, size_t size, u_char **end)
{
    off_t                n;
    ngx_int_t            rc;
    ngx_buf_t            b;
    ngx_http_chunked_t   chunked;

    ngx_memzero(&b, sizeof(ngx_buf_t));
    ngx_memzero(&chunked, sizeof(ngx_http_chunked_t));

    b.pos = data;
    b.last = data + size;

    for ( ;; ) {
        rc = ngx_http_parse_chunked(r, &b, &chunked);

        if (rc != NGX_OK) {
            *end = b.pos;
            return rc;
        }

        n = ngx_min(chunked.size, (off_t) (b.last - b.pos));

        b.pos += n;
        chunked.size -= n;
    }
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char              *body, *end, *seen;
    size_t               first;
    ngx_int_t            rc, expected;
    ngx_buf_t            header;
    ngx_pool_t          *pool;
    ngx_connection_t     c;
    ngx_http_request_t   r;

    if (size < 2 || size > TARGET_BODY) {
        return 0;
    }

    core_init();

    ngx_memzero(&header, sizeof(ngx_buf_t));
    ngx_memzero(&c, sizeof(ngx_connection_t));
    ngx_memzero(&r, sizeof(ngx_http_request_t));
    ngx_memzero(&target_ctx, sizeof(ngx_http_mesh_ctx_t));

    pool = ngx_create_pool(4096, ngx_cycle->log);

    first = ngx_min(data[0], size - 2);
    target_piece = data[1] ? data[1] : 4096;
    size -= 2;

    /* memory of its own, so that no read beyond it goes unseen */

    body = malloc(size + !size);
    ngx_memcpy(body, data + 2, size);

    header.pos = body;
    header.last = body + first;
    target_rest = body + first;
    target_size = size - first;

    c.data = &r;
    c.log = ngx_cycle->log;
    c.recv = target_recv;

    r.main = &r;
    r.pool = pool;
    r.connection = &c;
    r.header_in = &header;
    r.http_version = NGX_HTTP_VERSION_11;
    r.headers_in.chunked = 1;

    target_ctx.request = &r;
    target_ctx.refusal = "counted";

    rc = target_module(&r);
    seen = body + size - target_size;

    expected = target_nginx(&r, body, seen - body, &end);

    if (rc == NGX_DONE) {
        fuzz_must(expected == NGX_DONE || expected == NGX_ERROR);

        /* it was in the read that came last */

        fuzz_must(expected == NGX_ERROR || end > body + first
                  || seen == body + first);
        fuzz_must(expected == NGX_ERROR || seen - end < (ssize_t) target_piece
                  || seen == body + first);
    }

    fuzz_must(expected != NGX_DONE || rc != NGX_AGAIN);

    free(body);
    ngx_destroy_pool(pool);

    return 0;
}
