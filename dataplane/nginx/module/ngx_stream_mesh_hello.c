
/*
 * Looking at the first bytes of a connection (RFC 8446, 4.1.2 and 5.1; RFC
 * 7301).  A ClientHello that is split over several records is TLS of unknown
 * origin: ours is not.
 *
 *     record     type 22, version, length
 *     handshake  type 1, length
 *     hello      version, random, session id, cipher suites, compressions,
 *                extensions
 */


#include "ngx_stream_mesh_hello.h"


#define NGX_STREAM_MESH_ALPN  16


typedef struct {
    u_char                   *pos;
    u_char                   *last;
} ngx_stream_mesh_bytes_t;


ngx_stream_mesh_hello_e
ngx_stream_mesh_is_tls(u_char *p, u_char *last)
{
    if (p == last) {
        return NGX_STREAM_MESH_HELLO_MORE;
    }

    /* the major version is 3 in every TLS there is */

    return p[0] == 0x16 && (last - p == 1 || p[1] == 3)
           ? NGX_STREAM_MESH_HELLO_TLS : NGX_STREAM_MESH_HELLO_NONE;
}


/* a vector whose length takes "size" bytes; what follows it stays in "b" */

static ngx_int_t
ngx_stream_mesh_vector(ngx_stream_mesh_bytes_t *b, size_t size,
    ngx_stream_mesh_bytes_t *vector)
{
    size_t  i, len;

    if ((size_t) (b->last - b->pos) < size) {
        return NGX_ERROR;
    }

    for (i = 0, len = 0; i < size; i++) {
        len = (len << 8) | *b->pos++;
    }

    if ((size_t) (b->last - b->pos) < len) {
        return NGX_ERROR;
    }

    vector->pos = b->pos;
    vector->last = b->pos + len;
    b->pos += len;

    return NGX_OK;
}


static ngx_uint_t
ngx_stream_mesh_has_marker(ngx_stream_mesh_bytes_t *extension)
{
    ngx_stream_mesh_bytes_t  list, name;

    if (ngx_stream_mesh_vector(extension, 2, &list) != NGX_OK) {
        return 0;
    }

    while (list.pos < list.last) {

        if (ngx_stream_mesh_vector(&list, 1, &name) != NGX_OK) {
            return 0;
        }

        if (name.last - name.pos == 5
            && ngx_memcmp(name.pos, "nsm/1", 5) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_stream_mesh_extensions(ngx_stream_mesh_bytes_t *extensions)
{
    ngx_uint_t               type;
    ngx_stream_mesh_bytes_t  extension;

    while (extensions->last - extensions->pos >= 2) {

        type = (extensions->pos[0] << 8) | extensions->pos[1];
        extensions->pos += 2;

        if (ngx_stream_mesh_vector(extensions, 2, &extension) != NGX_OK) {
            return 0;
        }

        if (type == NGX_STREAM_MESH_ALPN) {
            return ngx_stream_mesh_has_marker(&extension);
        }
    }

    return 0;
}


ngx_stream_mesh_hello_e
ngx_stream_mesh_hello(u_char *p, u_char *last)
{
    size_t                   len;
    ngx_stream_mesh_bytes_t  b, hello, skipped, extensions;

    if (ngx_stream_mesh_is_tls(p, last) != NGX_STREAM_MESH_HELLO_TLS) {
        return ngx_stream_mesh_is_tls(p, last);
    }

    if (last - p < 5) {
        return NGX_STREAM_MESH_HELLO_MORE;
    }

    len = (p[3] << 8) | p[4];

    if (5 + len > NGX_STREAM_MESH_HELLO_MAX) {
        return NGX_STREAM_MESH_HELLO_TLS;
    }

    if ((size_t) (last - p) < 5 + len) {
        return NGX_STREAM_MESH_HELLO_MORE;
    }

    b.pos = p + 5;
    b.last = b.pos + len;

    if (len == 0 || *b.pos++ != 1
        || ngx_stream_mesh_vector(&b, 3, &hello) != NGX_OK
        || hello.last - hello.pos < 34)
    {
        return NGX_STREAM_MESH_HELLO_TLS;
    }

    hello.pos += 34;

    if (ngx_stream_mesh_vector(&hello, 1, &skipped) != NGX_OK
        || ngx_stream_mesh_vector(&hello, 2, &skipped) != NGX_OK
        || ngx_stream_mesh_vector(&hello, 1, &skipped) != NGX_OK
        || ngx_stream_mesh_vector(&hello, 2, &extensions) != NGX_OK)
    {
        return NGX_STREAM_MESH_HELLO_TLS;
    }

    return ngx_stream_mesh_extensions(&extensions)
           ? NGX_STREAM_MESH_HELLO_MESH : NGX_STREAM_MESH_HELLO_TLS;
}
