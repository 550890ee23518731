
/*
 * Does a request fit a match of a route group?  A function of the match and
 * of what the caller says the request is.
 */


#include "ngx_mesh_match.h"


static ngx_int_t
ngx_mesh_match_method(ngx_mesh_match_t *m, ngx_str_t *method)
{
    ngx_uint_t  i;

    for (i = 0; i < m->nmethods; i++) {
        if (m->methods[i].len == method->len
            && ngx_memcmp(m->methods[i].data, method->data, method->len) == 0)
        {
            return NGX_OK;
        }
    }

    return m->nmethods ? NGX_DECLINED : NGX_OK;
}


static ngx_int_t
ngx_mesh_match_header(ngx_mesh_criterion_t *c, ngx_mesh_subject_t *subject)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    rc = subject->header(subject->data, c, &value);

    if (rc != NGX_OK || c->value == NULL) {
        return rc;
    }

    return ngx_mesh_regex_search(c->value, &value);
}


/*
 * What costs least comes first.  A search that was given up does not hide
 * that another criterion is not met.
 */

ngx_int_t
ngx_mesh_match(ngx_mesh_match_t *m, ngx_mesh_subject_t *subject)
{
    ngx_int_t              rc, result;
    ngx_mesh_criterion_t  *c;

    if (ngx_mesh_match_method(m, subject->method) != NGX_OK) {
        return NGX_DECLINED;
    }

    result = NGX_OK;

    if (m->path) {
        result = ngx_mesh_regex_search(m->path, subject->path);

        if (result == NGX_DECLINED) {
            return NGX_DECLINED;
        }
    }

    for (c = m->headers; c; c = c->next) {

        rc = ngx_mesh_match_header(c, subject);

        if (rc == NGX_DECLINED) {
            return NGX_DECLINED;
        }

        if (rc == NGX_ERROR) {
            result = NGX_ERROR;
        }
    }

    return result;
}
