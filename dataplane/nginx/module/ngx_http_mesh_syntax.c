
/*
 * Incoming requests that nginx would take and another server might read
 * differently: lines that end with a bare line feed, no version, a Host that
 * is not the one of an absolute URI (RFC 9112, 2.2 and 3.2.2), and more
 * headers than anybody needs.
 */


#include "ngx_http_mesh.h"


#define NGX_HTTP_MESH_HEADERS_MAX  100


static ngx_uint_t
ngx_http_mesh_count_headers(ngx_http_request_t *r)
{
    ngx_uint_t        n;
    ngx_list_part_t  *part;

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        n += part->nelts;
    }

    return n;
}


/*
 * The end of what was read into the buffer that a value is in.  A line may be
 * the last of its buffer: nginx goes on in another one then.
 */

static u_char *
ngx_http_mesh_read_until(ngx_http_request_t *r, u_char *p)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = r->header_in;

    if (p >= b->start && p < b->last) {
        return b->last;
    }

    for (cl = r->http_connection->busy; cl; cl = cl->next) {
        b = cl->buf;

        if (p >= b->start && p < b->last) {
            return b->last;
        }
    }

    b = r->connection->buffer;

    return p >= b->start && p < b->last ? b->last : p;
}


/*
 * nginx writes a zero over the byte after each value: the carriage return, or
 * the line feed if there is none.  "header_end" is the empty line's first.
 * A blank before a line feed was one of several; a single one is what the
 * zero is over, and cannot be told from a carriage return any more.
 */

static ngx_uint_t
ngx_http_mesh_is_bare(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char  *p, *last;

    p = value->data + value->len;
    last = ngx_http_mesh_read_until(r, p);

    for (p++; p < last && *p == ' '; p++) { /* void */ }

    if (p >= last || p == r->header_end) {
        return 1;
    }

    /* a line is whole in its buffer: what ends that one is of the next line */

    return *p == LF ? p[-1] == ' ' : *p != CR || p + 1 == last;
}


static ngx_uint_t
ngx_http_mesh_has_bare_line_feed(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (r->header_end == NULL || *r->header_end != CR
        || r->request_line.data[r->request_line.len] != CR)
    {
        return 1;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_mesh_is_bare(r, &h[i].value)) {
                return 1;
            }
        }
    }

    return 0;
}


/* the host and port of an absolute URI; of any other form nothing */

void
ngx_http_mesh_authority(ngx_http_request_t *r, ngx_str_t *authority)
{
    u_char  *p, *last;

    ngx_str_null(authority);

    if (r->schema_start == NULL || r->host_start == NULL) {
        return;
    }

    last = r->request_line.data + r->request_line.len;

    for (p = r->host_start; p < last; p++) {
        if (*p == '/' || *p == '?' || *p == '#' || *p == ' ') {
            break;
        }
    }

    authority->data = r->host_start;
    authority->len = p - r->host_start;
}


static ngx_uint_t
ngx_http_mesh_has_other_host(ngx_http_request_t *r)
{
    ngx_str_t  *host, authority;

    ngx_http_mesh_authority(r, &authority);

    if (authority.data == NULL || r->headers_in.host == NULL) {
        return 0;
    }

    host = &r->headers_in.host->value;

    return host->len != authority.len
           || ngx_strncasecmp(host->data, authority.data, host->len) != 0;
}


/* NGX_OK, or the status of the refusal and its reason */

ngx_int_t
ngx_http_mesh_check_syntax(ngx_http_request_t *r, const char **reason)
{
    if (ngx_http_mesh_count_headers(r) > NGX_HTTP_MESH_HEADERS_MAX) {
        *reason = "too_many_headers";
        return 431;
    }

    if (r->http_version < NGX_HTTP_VERSION_20
        && (r->http_version < NGX_HTTP_VERSION_10
            || ngx_http_mesh_has_bare_line_feed(r)
            || ngx_http_mesh_has_other_host(r)))
    {
        *reason = "malformed";
        return NGX_HTTP_BAD_REQUEST;
    }

    return NGX_OK;
}
