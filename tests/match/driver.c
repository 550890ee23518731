
/*
 * The module's matcher without requests around it: the matches of a document,
 * and subjects that a test makes up.
 */


#include "driver.h"


/* "data" are lines of a name, a colon and a value */

static ngx_int_t
driver_header(void *data, ngx_mesh_criterion_t *c, ngx_str_t *value)
{
    u_char  *p, *end;

    for (p = data; *p; p = end + 1) {

        end = (u_char *) ngx_strchr(p, '\n');

        if (ngx_strncmp(p, c->name.data, c->name.len) == 0
            && p[c->name.len] == ':')
        {
            value->data = p + c->name.len + 1;
            value->len = end - value->data;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
driver_match(ngx_uint_t i, const char *path, size_t len, const char *method,
    const char *headers)
{
    ngx_str_t           uri, verb;
    ngx_mesh_subject_t  subject;

    uri.data = (u_char *) path;
    uri.len = len;
    verb.data = (u_char *) method;
    verb.len = ngx_strlen(method);

    subject.path = &uri;
    subject.method = &verb;
    subject.header = driver_header;
    subject.data = (void *) headers;

    return ngx_mesh_match(&ngx_mesh.table->matches[i], &subject);
}


/* bytes of the path's pattern as it is now compiled */

size_t
driver_size(ngx_uint_t i)
{
    return ngx_mesh_regex_size(ngx_mesh.table->matches[i].path);
}


/* the same pattern of two matches is one */

ngx_uint_t
driver_is_one(ngx_uint_t i, ngx_uint_t k)
{
    return ngx_mesh.table->matches[i].path == ngx_mesh.table->matches[k].path;
}


/* the i-th line that is told; NULL: there are no more */

const char *
driver_wrong(ngx_uint_t i)
{
    static char  text[NGX_MESH_ERROR_MAX + 1];

    if (i >= ngx_mesh.table->nwrong) {
        return NULL;
    }

    (void) ngx_snprintf((u_char *) text, sizeof(text), "%V%Z",
                        &ngx_mesh.table->wrong[i]);

    return text;
}
