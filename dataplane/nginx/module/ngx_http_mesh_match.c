
/*
 * Matches of route groups against requests.  Headers that only the mesh
 * itself may say are not there for a match: anybody could send them.
 */


#include "ngx_http_mesh.h"


static ngx_uint_t
ngx_http_mesh_match_is_said(ngx_table_elt_t *h, ngx_mesh_criterion_t *c)
{
    return h->hash == c->hash
           && h->key.len == c->name.len
           && ngx_memcmp(h->lowcase_key, c->name.data, c->name.len) == 0;
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


/* memory only where a header is there more than once */

static ngx_int_t
ngx_http_mesh_match_join(ngx_http_request_t *r, ngx_str_t *value,
    ngx_str_t *more)
{
    u_char  *p;
    size_t   len;

    len = value->len + sizeof(", ") - 1 + more->len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, "%V, %V", value, more);

    value->len = len;
    value->data = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_match_header(void *data, ngx_mesh_criterion_t *c,
    ngx_str_t *value)
{
    ngx_http_request_t *r = data;

    ngx_int_t         rc;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (ngx_http_mesh_match_is_ours(&c->name)) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (!ngx_http_mesh_match_is_said(&h[i], c)) {
                continue;
            }

            if (rc == NGX_DECLINED) {
                *value = h[i].value;
                rc = NGX_OK;

            } else if (ngx_http_mesh_match_join(r, value, &h[i].value)
                       != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return rc;
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
