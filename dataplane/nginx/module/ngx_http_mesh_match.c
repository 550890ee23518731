
/*
 * Matches of route groups against requests.  Headers that only the mesh
 * itself may say are not there for a match: anybody could send them.
 */


#include "ngx_http_mesh.h"


/* nginx's hash of a name leaves out what is no letter, digit, "-" or "_" */

static ngx_uint_t
ngx_http_mesh_match_is_said(ngx_table_elt_t *h, ngx_str_t *name)
{
    return h->key.len == name->len
           && ngx_memcmp(h->lowcase_key, name->data, name->len) == 0;
}


static ngx_uint_t
ngx_http_mesh_match_is_ours(ngx_str_t *name)
{
    ngx_uint_t  i;

    static ngx_str_t  ours[] = {
        ngx_string("x-mesh-peer-identity"),
        ngx_string("x-forwarded-client-cert")
    };

    for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (ours[i].len == name->len
            && ngx_memcmp(ours[i].data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* how often a header is there, its first value, and all values' length */

static ngx_uint_t
ngx_http_mesh_match_count(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value, size_t *len)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;
    *len = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (!ngx_http_mesh_match_is_said(&h[i], name)) {
                continue;
            }

            if (n++ == 0) {
                *value = h[i].value;
            }

            *len += h[i].value.len + sizeof(", ") - 1;
        }
    }

    return n;
}


static ngx_http_mesh_joined_t *
ngx_http_mesh_match_join(ngx_http_request_t *r, ngx_str_t *name, size_t len)
{
    u_char                  *p;
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_table_elt_t         *h;
    ngx_http_mesh_joined_t  *joined;

    joined = ngx_palloc(r->pool, sizeof(ngx_http_mesh_joined_t));
    p = ngx_pnalloc(r->pool, len);

    if (joined == NULL || p == NULL) {
        return NULL;
    }

    joined->name = *name;
    joined->value.data = p;
    joined->value.len = len - (sizeof(", ") - 1);

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_mesh_match_is_said(&h[i], name)) {
                p = ngx_sprintf(p, "%V, ", &h[i].value);
            }
        }
    }

    return joined;
}


/*
 * Once for each name in a request: hundreds of matches may ask for the same
 * header, and its caller may have sent a hundred kilobytes of it
 */

static ngx_int_t
ngx_http_mesh_match_joined(ngx_http_request_t *r, ngx_str_t *name, size_t len,
    ngx_str_t *value)
{
    ngx_http_mesh_ctx_t     *ctx;
    ngx_http_mesh_joined_t  *joined;

    ctx = ngx_http_mesh_ctx(r);

    for (joined = ctx->joined; joined; joined = joined->next) {
        if (joined->name.len == name->len
            && ngx_memcmp(joined->name.data, name->data, name->len) == 0)
        {
            *value = joined->value;
            return NGX_OK;
        }
    }

    joined = ngx_http_mesh_match_join(r, name, len);
    if (joined == NULL) {
        return NGX_ERROR;
    }

    joined->next = ctx->joined;
    ctx->joined = joined;

    *value = joined->value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_match_header(void *data, ngx_mesh_criterion_t *c,
    ngx_str_t *value)
{
    ngx_http_request_t *r = data;

    size_t      len;
    ngx_uint_t  n;

    if (ngx_http_mesh_match_is_ours(&c->name)) {
        return NGX_DECLINED;
    }

    n = ngx_http_mesh_match_count(r, &c->name, value, &len);

    if (n > 1) {
        return ngx_http_mesh_match_joined(r, &c->name, len, value);
    }

    return n ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_mesh_subject(ngx_http_request_t *r, ngx_mesh_subject_t *subject)
{
    subject->path = &r->uri;
    subject->method = &r->method_name;
    subject->header = ngx_http_mesh_match_header;
    subject->data = r;
}


ngx_int_t
ngx_http_mesh_match(ngx_http_request_t *r, ngx_mesh_match_t *m)
{
    ngx_mesh_subject_t  subject;

    ngx_http_mesh_subject(r, &subject);

    return ngx_mesh_match(m, &subject);
}
