
/*
 * The document "state", version 1 (docs/reference/nginx-state.md), into a
 * table that is not yet linked.  A function of its input; it touches nothing
 * of the worker.
 */


#include "ngx_mesh_parse.h"


typedef ngx_int_t (*ngx_mesh_parse_pt)(ngx_mesh_parser_t *p);


typedef struct {
    ngx_str_t                 name;
    ngx_uint_t                fields;
    ngx_mesh_parse_pt         handler;
    size_t                    count;         /* offset, 0: not counted */
} ngx_mesh_kind_t;


#define ngx_mesh_counted(name)                                                \
    offsetof(ngx_mesh_parser_t, lines) + offsetof(ngx_mesh_counts_t, name)


static ngx_int_t ngx_mesh_parse_end(ngx_mesh_parser_t *p);


static ngx_mesh_kind_t  ngx_mesh_kinds[] = {
    { ngx_string("trust_domain"), 2, ngx_mesh_parse_trust_domain, 0 },
    { ngx_string("mode"), 2, ngx_mesh_parse_mode, 0 },
    { ngx_string("set"), 3, ngx_mesh_parse_set, 0 },
    { ngx_string("incoming"), 3, ngx_mesh_parse_incoming,
      ngx_mesh_counted(incoming) },
    { ngx_string("identity"), 3, ngx_mesh_parse_identity,
      ngx_mesh_counted(identities) },
    { ngx_string("upstream"), 6, ngx_mesh_parse_upstream,
      ngx_mesh_counted(upstreams) },
    { ngx_string("endpoint"), 6, ngx_mesh_parse_endpoint,
      ngx_mesh_counted(endpoints) },
    { ngx_string("request"), 5, ngx_mesh_parse_request, 0 },
    { ngx_string("route"), 4, ngx_mesh_parse_route,
      ngx_mesh_counted(routes) },
    { ngx_string("pod"), 5, ngx_mesh_parse_pod,
      ngx_mesh_counted(pods) },
    { ngx_string("injected"), 2, ngx_mesh_parse_injected,
      ngx_mesh_counted(injected) },
    { ngx_string("policy"), 4, ngx_mesh_parse_policy,
      ngx_mesh_counted(policies) },
    { ngx_string("match"), 4, ngx_mesh_parse_match,
      ngx_mesh_counted(matches) },
    { ngx_string("header"), 4, ngx_mesh_parse_header,
      ngx_mesh_counted(headers) },
    { ngx_string("split"), 4, ngx_mesh_parse_split,
      ngx_mesh_counted(splits) },
    { ngx_string("split_match"), 2, ngx_mesh_parse_split_match,
      ngx_mesh_counted(split_matches) },
    { ngx_string("share"), 3, ngx_mesh_parse_share,
      ngx_mesh_counted(shares) },
    { ngx_string("breaker"), 6, ngx_mesh_parse_breaker,
      ngx_mesh_counted(breakers) },
    { ngx_string("guard"), 3, ngx_mesh_parse_guard, 0 },
    { ngx_string("headless"), 4, ngx_mesh_parse_headless,
      ngx_mesh_counted(headless) },
    { ngx_string("access"), 2, ngx_mesh_parse_access, 0 },
    { ngx_string("target"), 4, ngx_mesh_parse_target,
      ngx_mesh_counted(targets) },
    { ngx_string("target_source"), 2, ngx_mesh_parse_target_source,
      ngx_mesh_counted(target_sources) },
    { ngx_string("target_match"), 2, ngx_mesh_parse_target_match,
      ngx_mesh_counted(target_matches) },
    { ngx_string("target_tcp"), 1, ngx_mesh_parse_target_tcp, 0 },
    { ngx_string("limit"), 8, ngx_mesh_parse_limit,
      ngx_mesh_counted(limits) },
    { ngx_string("limit_source"), 3, ngx_mesh_parse_limit_source,
      ngx_mesh_counted(limit_sources) },
    { ngx_string("limit_port"), 2, ngx_mesh_parse_limit_port,
      ngx_mesh_counted(limit_ports) },
    { ngx_string("limit_match"), 2, ngx_mesh_parse_limit_match,
      ngx_mesh_counted(limit_matches) },
    { ngx_string("end"), 2, ngx_mesh_parse_end, 0 },
    { ngx_null_string, 0, NULL, 0 }
};


static ngx_mesh_kind_t *
ngx_mesh_kind(u_char *start, u_char *end)
{
    size_t            len;
    u_char           *tab;
    ngx_mesh_kind_t  *kind;

    tab = ngx_strlchr(start, end, '\t');
    len = (tab ? tab : end) - start;

    for (kind = ngx_mesh_kinds; kind->name.len; kind++) {
        if (kind->name.len == len
            && ngx_memcmp(kind->name.data, start, len) == 0)
        {
            return kind;
        }
    }

    return NULL;
}


/* sizes first, so that every array is allocated once */

static ngx_int_t
ngx_mesh_parse_count(ngx_mesh_parser_t *p, ngx_str_t *document)
{
    u_char            *start, *end, *last;
    ngx_str_t          none = ngx_null_string;
    ngx_mesh_kind_t   *kind;

    start = document->data;
    last = start + document->len;

    while (start < last) {

        end = ngx_strlchr(start, last, LF);

        if (end == NULL) {
            return ngx_mesh_line_error(&p->line, "document", &none,
                                       "a line feed after its last line");
        }

        kind = ngx_mesh_kind(start, end);

        if (kind && kind->count) {
            (*(ngx_uint_t *) ((u_char *) p + kind->count))++;
        }

        start = end + 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_parse_allocate(ngx_mesh_parser_t *p)
{
    ngx_pool_t         *pool;
    ngx_mesh_counts_t  *n;
    ngx_mesh_table_t   *t;

    t = p->table;
    pool = t->pool;
    n = &p->lines;

    /* one more of each: an array of none is an array all the same */

    t->incoming = ngx_pcalloc(pool, (n->incoming + 1)
                                    * sizeof(ngx_mesh_incoming_t));
    t->identities = ngx_pcalloc(pool, (n->identities + 1)
                                      * sizeof(ngx_str_t));
    t->upstreams = ngx_pcalloc(pool, (n->upstreams + n->pods + 1)
                                     * sizeof(ngx_mesh_upstream_t));
    t->endpoints = ngx_pcalloc(pool, (n->endpoints + n->pods + 1)
                                     * sizeof(ngx_mesh_endpoint_t));
    t->routes = ngx_pcalloc(pool, (n->routes + n->pods + 1)
                                  * sizeof(ngx_mesh_route_t));
    t->injected = ngx_palloc(pool, (n->pods + n->injected + 1)
                                   * sizeof(struct in6_addr));
    p->pod_routes = ngx_pcalloc(pool, (n->pods + 1)
                                      * sizeof(ngx_mesh_route_t));
    t->policies = ngx_pcalloc(pool, (n->policies + 1)
                                    * sizeof(ngx_mesh_policy_t));
    t->matches = ngx_pcalloc(pool, (n->matches + 1)
                                   * sizeof(ngx_mesh_match_t));

    if (t->incoming == NULL || t->identities == NULL || t->upstreams == NULL
        || t->endpoints == NULL || t->routes == NULL || t->injected == NULL
        || p->pod_routes == NULL || t->policies == NULL
        || t->matches == NULL
        || ngx_mesh_access_allocate(&t->access, pool, n->targets,
                                    n->target_sources, n->target_matches)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_mesh_parse_split_allocate(p) != NGX_OK
        || ngx_mesh_limits_allocate(&t->limits, pool, n->limits,
                                    n->limit_sources, n->limit_ports,
                                    n->limit_matches)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mesh_table_index(t, n->routes + n->pods);
}


static ngx_int_t
ngx_mesh_parse_end(ngx_mesh_parser_t *p)
{
    ngx_uint_t  n;

    p->end = 1;

    return ngx_mesh_line_number(&p->line, 1, "number of lines",
                                p->line.line - 1, p->line.line - 1, &n);
}


static ngx_int_t
ngx_mesh_parse_line(ngx_mesh_parser_t *p, u_char *start, u_char *end)
{
    ngx_mesh_kind_t  *kind;
    ngx_mesh_line_t  *l;

    l = &p->line;

    l->line++;

    if (p->end) {
        return ngx_mesh_line_error(l, "line", NULL, "nothing after the end");
    }

    if (ngx_mesh_line_split(l, start, end) != NGX_OK) {
        return NGX_ERROR;
    }

    if (l->line == 1) {
        return ngx_mesh_parse_first(p);
    }

    kind = ngx_mesh_kind(start, end);

    if (kind == NULL) {
        return NGX_OK;
    }

    if (ngx_mesh_line_needs(l, kind->fields) != NGX_OK) {
        return NGX_ERROR;
    }

    return kind->handler(p);
}


/* a route for the same place wins over a pod, wherever its line stands */

static ngx_int_t
ngx_mesh_parse_pod_routes(ngx_mesh_parser_t *p)
{
    ngx_uint_t         i;
    ngx_mesh_route_t  *r, *found;
    ngx_mesh_table_t  *t;

    t = p->table;

    for (i = 0; i < p->npods; i++) {

        r = &t->routes[t->nroutes];
        *r = p->pod_routes[i];

        if (ngx_mesh_table_insert(t, t->nroutes) == NGX_OK) {
            t->nroutes++;
            continue;
        }

        found = ngx_mesh_table_find(t, &r->addr);

        if (found->upstream >= &t->upstreams[p->lines.upstreams]) {
            return ngx_mesh_line_error(&p->line, "pods", &found->upstream->name,
                                       "each address and port once");
        }
    }

    t->nupstreams += p->npods;
    t->nendpoints += p->npods;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_parse_document(ngx_mesh_parser_t *p, ngx_str_t *document)
{
    u_char     *start, *end, *last;
    ngx_str_t   none = ngx_null_string;

    start = document->data;
    last = start + document->len;

    for ( /* void */ ; start < last; start = end + 1) {

        end = ngx_strlchr(start, last, LF);

        if (ngx_mesh_parse_line(p, start, end) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (!p->end) {
        return ngx_mesh_line_error(&p->line, "document", &none,
                                   "an end line (it was cut short)");
    }

    if (!p->mode || p->table->trust_domain.len == 0) {
        return ngx_mesh_line_error(&p->line, "document", &none,
                                   "a mode and a trust_domain line");
    }

    ngx_mesh_injected_sort(p->table);

    if (ngx_mesh_parse_pod_routes(p) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_mesh_parse_headless_pods(p);

    return NGX_OK;
}


ngx_mesh_table_t *
ngx_mesh_parse(ngx_pool_t *pool, ngx_str_t *document, ngx_str_t *error)
{
    ngx_mesh_table_t   *t;
    ngx_mesh_parser_t   p;

    ngx_memzero(&p, sizeof(ngx_mesh_parser_t));
    p.line.error = error->data;

    t = ngx_pcalloc(pool, sizeof(ngx_mesh_table_t));
    if (t == NULL) {
        goto no_memory;
    }

    t->pool = pool;
    t->refs = 1;
    t->client_max_body_size = 1024 * 1024;
    t->error_log_level = NGX_LOG_WARN;
    t->server_first = 50;

    p.table = t;

    if (ngx_mesh_parse_count(&p, document) != NGX_OK) {
        goto refused;
    }

    if (ngx_mesh_parse_allocate(&p) != NGX_OK) {
        goto no_memory;
    }

    if (ngx_mesh_parse_document(&p, document) != NGX_OK) {
        goto refused;
    }

    return t;

no_memory:

    error->len = ngx_sprintf(error->data, "state: out of memory")
                 - error->data;

    return NULL;

refused:

    error->len = p.line.error_len;

    return NULL;
}
