
/*
 * The lines of the document "state" that say who may call this pod.
 *
 *     access         enforced
 *     target         <policy n>  <port>|0  all|some
 *     target_source  <identity n>
 *     target_match   <match n>
 *     target_tcp
 */


#include "ngx_mesh_parse.h"


static const ngx_conf_enum_t  ngx_mesh_access_modes[] = {
    { ngx_string("enforced"), 1 },
    { ngx_null_string, 0 }
};


static const ngx_conf_enum_t  ngx_mesh_target_rules[] = {
    { ngx_string("all"), 1 },
    { ngx_string("some"), 0 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_mesh_parse_access(ngx_mesh_parser_t *p)
{
    return ngx_mesh_line_enum(&p->line, 1, "access", "enforced",
                              ngx_mesh_access_modes,
                              &p->table->access.enforced);
}


ngx_int_t
ngx_mesh_parse_target(ngx_mesh_parser_t *p)
{
    ngx_uint_t          port, all;
    ngx_mesh_line_t    *l;
    ngx_mesh_grant_t   *grant;
    ngx_mesh_access_t  *a;

    l = &p->line;
    a = &p->table->access;
    grant = &a->grants[a->ngrants];

    if (ngx_mesh_parse_policy_number(p, 1, NGX_MESH_POLICY_TARGET,
                                     &grant->policy)
        != NGX_OK
        || ngx_mesh_line_number(l, 2, "port", 0, 65535, &port) != NGX_OK
        || ngx_mesh_line_enum(l, 3, "rules", "all, some",
                              ngx_mesh_target_rules, &all)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    grant->port = (in_port_t) port;
    grant->everything = all;
    grant->matches = &a->matches[a->nmatches];

    a->ngrants++;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_parse_has_target(ngx_mesh_parser_t *p)
{
    ngx_mesh_line_t  *l;

    l = &p->line;

    if (p->table->access.ngrants == 0) {
        return ngx_mesh_line_error(l, "target", &l->field[0],
                                   "a target line above");
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_target_source(ngx_mesh_parser_t *p)
{
    ngx_str_t  identity;

    if (ngx_mesh_parse_has_target(p) != NGX_OK
        || ngx_mesh_parse_identity_number(p, 1, 0, &identity) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_mesh_access_name(&p->table->access, &identity);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_target_match(ngx_mesh_parser_t *p)
{
    ngx_mesh_match_t   *match;
    ngx_mesh_access_t  *a;

    if (ngx_mesh_parse_has_target(p) != NGX_OK
        || ngx_mesh_parse_match_number(p, 1, &match) != NGX_OK)
    {
        return NGX_ERROR;
    }

    a = &p->table->access;

    a->matches[a->nmatches++] = match;
    a->grants[a->ngrants - 1].nmatches++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_target_tcp(ngx_mesh_parser_t *p)
{
    ngx_mesh_access_t  *a;

    if (ngx_mesh_parse_has_target(p) != NGX_OK) {
        return NGX_ERROR;
    }

    a = &p->table->access;
    a->grants[a->ngrants - 1].tcp = 1;

    return NGX_OK;
}
