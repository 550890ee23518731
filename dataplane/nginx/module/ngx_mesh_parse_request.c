
/*
 * The line "request" of the document "state": how long requests to an
 * upstream may take, and which of them are tried again.
 *
 *     request  <upstream n>  <milliseconds, 0: none>  <retries>
 *              idempotent|any
 */


#include "ngx_mesh_parse.h"


/* longer ones are as good as none: 20 days */
#define NGX_MESH_TIMEOUT_MAX  1728000000
#define NGX_MESH_RETRIES_MAX  10


static const ngx_conf_enum_t  ngx_mesh_retried[] = {
    { ngx_string("idempotent"), 0 },
    { ngx_string("any"), 1 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_mesh_parse_request(ngx_mesh_parser_t *p)
{
    ngx_uint_t            n, timeout, retries, any;
    ngx_mesh_line_t      *l;
    ngx_mesh_table_t     *t;
    ngx_mesh_upstream_t  *u;

    l = &p->line;
    t = p->table;

    if (t->nupstreams == 0) {
        return ngx_mesh_line_error(l, "upstream", &l->field[1],
                                   "the number of an upstream line above");
    }

    if (ngx_mesh_line_number(l, 1, "upstream", 0, t->nupstreams - 1, &n)
        != NGX_OK
        || ngx_mesh_line_number(l, 2, "time-out", 0, NGX_MAX_INT_T_VALUE,
                                &timeout)
           != NGX_OK
        || ngx_mesh_line_number(l, 3, "retries", 0, NGX_MESH_RETRIES_MAX,
                                &retries)
           != NGX_OK
        || ngx_mesh_line_enum(l, 4, "methods", "idempotent, any",
                              ngx_mesh_retried, &any)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    u = &t->upstreams[n];

    if (u->request) {
        return ngx_mesh_line_error(l, "request", &l->field[1],
                                   "one line for each upstream");
    }

    u->request = 1;
    u->timeout = ngx_min(timeout, NGX_MESH_TIMEOUT_MAX);
    u->retries = retries;
    u->retry_any = any;

    return NGX_OK;
}
