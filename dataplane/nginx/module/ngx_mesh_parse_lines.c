
/*
 * The lines of the document "state" that make up the table: incoming ports,
 * identities, upstreams and their endpoints, routes, pods.
 */


#include "ngx_mesh_parse.h"


static const ngx_conf_enum_t  ngx_mesh_lb_methods[] = {
    { ngx_string("round_robin"), NGX_MESH_ROUND_ROBIN },
    { ngx_string("least_conn"), NGX_MESH_LEAST_CONN },
    { ngx_string("least_time"), NGX_MESH_LEAST_TIME },
    { ngx_string("least_time last_byte"), NGX_MESH_LEAST_TIME_LAST_BYTE },
    { ngx_string("least_time last_byte inflight"),
      NGX_MESH_LEAST_TIME_INFLIGHT },
    { ngx_string("random"), NGX_MESH_RANDOM },
    { ngx_string("random two"), NGX_MESH_RANDOM_TWO_LEAST_CONN },
    { ngx_string("random two least_conn"), NGX_MESH_RANDOM_TWO_LEAST_CONN },
    { ngx_string("random two least_time"), NGX_MESH_RANDOM_TWO_LEAST_TIME },
    { ngx_string("random two least_time=last_byte"),
      NGX_MESH_RANDOM_TWO_LAST_BYTE },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_mesh_parse_incoming(ngx_mesh_parser_t *p)
{
    ngx_uint_t            i, port;
    ngx_mesh_line_t      *l;
    ngx_mesh_table_t     *t;
    ngx_mesh_protocol_e   protocol;

    l = &p->line;
    t = p->table;

    if (ngx_mesh_line_number(l, 1, "port", 1, 65535, &port) != NGX_OK
        || ngx_mesh_line_protocol(l, 2, &protocol) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (protocol == NGX_MESH_UDP) {
        return NGX_OK;
    }

    for (i = 0; i < t->nincoming; i++) {
        if (t->incoming[i].port == port) {
            return ngx_mesh_line_error(l, "incoming port", &l->field[1],
                                       "each port once");
        }
    }

    t->incoming[t->nincoming].port = (in_port_t) port;
    t->incoming[t->nincoming].protocol = protocol;
    t->incoming[t->nincoming].health = l->nfields > 3
                             && l->field[3].len == sizeof("health") - 1
                             && ngx_memcmp(l->field[3].data, "health",
                                           sizeof("health") - 1) == 0;
    t->nincoming++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_identity(ngx_mesh_parser_t *p)
{
    ngx_uint_t         n;
    ngx_mesh_line_t   *l;
    ngx_mesh_table_t  *t;

    l = &p->line;
    t = p->table;

    if (ngx_mesh_line_number(l, 1, "identity", t->nidentities, t->nidentities,
                             &n)
        != NGX_OK
        || ngx_mesh_line_spiffe_id(l, 2, &t->trust_domain) != NGX_OK)
    {
        return NGX_ERROR;
    }

    t->identities[t->nidentities++] = l->field[2];

    return NGX_OK;
}


/* the identity that field i numbers; "-", where allowed, is the empty one */

ngx_int_t
ngx_mesh_parse_identity_number(ngx_mesh_parser_t *p, ngx_uint_t i,
    ngx_uint_t optional, ngx_str_t *identity)
{
    ngx_uint_t        n;
    ngx_mesh_line_t  *l;

    l = &p->line;

    if (optional && l->field[i].len == 1 && l->field[i].data[0] == '-') {
        ngx_str_null(identity);
        return NGX_OK;
    }

    if (p->table->nidentities == 0) {
        return ngx_mesh_line_error(l, "identity", &l->field[i],
                                   "the number of an identity line above");
    }

    if (ngx_mesh_line_number(l, i, "identity", 0, p->table->nidentities - 1,
                             &n)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    *identity = p->table->identities[n];

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_parse_pod_name(ngx_mesh_line_t *l, ngx_uint_t i, ngx_str_t *pod)
{
    ngx_str_null(pod);

    if (i >= l->nfields
        || (l->field[i].len == 1 && l->field[i].data[0] == '-'))
    {
        return NGX_OK;
    }

    if (l->field[i].len > 507
        || ngx_strlchr(l->field[i].data, l->field[i].data + l->field[i].len,
                       '/')
           == NULL)
    {
        return ngx_mesh_line_error(l, "pod", &l->field[i],
                                   "<namespace>/<name> or -");
    }

    *pod = l->field[i];

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_upstream(ngx_mesh_parser_t *p)
{
    ngx_uint_t            n, lb, port;
    ngx_mesh_line_t      *l;
    ngx_mesh_table_t     *t;
    ngx_mesh_upstream_t  *u;

    l = &p->line;
    t = p->table;
    u = &t->upstreams[t->nupstreams];

    if (ngx_mesh_line_number(l, 1, "upstream", t->nupstreams, t->nupstreams,
                             &n)
        != NGX_OK
        || ngx_mesh_parse_pod_name(l, 2, &u->name) != NGX_OK
        || ngx_mesh_line_number(l, 3, "port", 1, 65535, &port) != NGX_OK
        || ngx_mesh_line_protocol(l, 4, &u->protocol) != NGX_OK
        || ngx_mesh_line_enum(l, 5, "load balancing method",
                              "a method of contract 6.balancing",
                              ngx_mesh_lb_methods, &lb)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (u->name.len == 0) {
        return ngx_mesh_line_error(l, "upstream name", &l->field[2],
                                   "<namespace>/<service>");
    }

    u->port = (in_port_t) port;
    u->lb = lb;
    u->endpoints = &t->endpoints[t->nendpoints];

    t->nupstreams++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_endpoint(ngx_mesh_parser_t *p)
{
    ngx_uint_t            n;
    ngx_mesh_line_t      *l;
    ngx_mesh_table_t     *t;
    ngx_mesh_endpoint_t  *e;

    l = &p->line;
    t = p->table;

    if (t->nupstreams == 0) {
        return ngx_mesh_line_error(l, "upstream", &l->field[1],
                                   "the number of the upstream line above");
    }

    e = &t->endpoints[t->nendpoints];

    if (ngx_mesh_line_number(l, 1, "upstream", t->nupstreams - 1,
                             t->nupstreams - 1, &n)
        != NGX_OK
        || ngx_mesh_line_addr(l, 2, &e->addr) != NGX_OK
        || ngx_mesh_parse_identity_number(p, 4, 1, &e->identity) != NGX_OK
        || ngx_mesh_parse_pod_name(l, 5, &e->pod) != NGX_OK)
    {
        return NGX_ERROR;
    }

    t->upstreams[n].nendpoints++;
    t->nendpoints++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_route(ngx_mesh_parser_t *p)
{
    ngx_uint_t         n;
    ngx_mesh_line_t   *l;
    ngx_mesh_route_t  *r;
    ngx_mesh_table_t  *t;

    l = &p->line;
    t = p->table;

    if (t->nupstreams == 0) {
        return ngx_mesh_line_error(l, "upstream", &l->field[3],
                                   "the number of an upstream line above");
    }

    r = &t->routes[t->nroutes];

    if (ngx_mesh_line_addr(l, 1, &r->addr) != NGX_OK
        || ngx_mesh_line_number(l, 3, "upstream", 0, t->nupstreams - 1, &n)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->upstream = &t->upstreams[n];

    if (ngx_mesh_table_insert(t, t->nroutes) != NGX_OK) {
        return ngx_mesh_line_error(l, "route", &l->field[1],
                                   "each address and port once");
    }

    t->nroutes++;

    return NGX_OK;
}


/* kept aside: a route for the same place wins, wherever its line stands */

ngx_int_t
ngx_mesh_parse_pod(ngx_mesh_parser_t *p)
{
    ngx_mesh_line_t      *l;
    ngx_mesh_table_t     *t;
    ngx_mesh_endpoint_t  *e;
    ngx_mesh_upstream_t  *u;

    l = &p->line;
    t = p->table;

    u = &t->upstreams[p->lines.upstreams + p->npods];
    e = &t->endpoints[p->lines.endpoints + p->npods];

    if (ngx_mesh_line_addr(l, 1, &e->addr) != NGX_OK
        || ngx_mesh_line_protocol(l, 3, &u->protocol) != NGX_OK
        || ngx_mesh_parse_identity_number(p, 4, 0, &e->identity) != NGX_OK
        || ngx_mesh_parse_pod_name(l, 5, &e->pod) != NGX_OK)
    {
        return NGX_ERROR;
    }

    u->name = e->pod;
    u->port = e->addr.port;
    u->lb = NGX_MESH_ROUND_ROBIN;
    u->pod = 1;
    u->endpoints = e;
    u->nendpoints = 1;

    p->pod_routes[p->npods].addr = e->addr;
    p->pod_routes[p->npods].upstream = u;

    p->npods++;

    ngx_mesh_injected_add(t, &e->addr);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_injected(ngx_mesh_parser_t *p)
{
    ngx_mesh_addr_t  addr;

    if (ngx_mesh_line_ip(&p->line, 1, &addr) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_mesh_injected_add(p->table, &addr);

    return NGX_OK;
}
