
/*
 * The lines of the document "state" that divide the calls of a Service, and
 * those that guard it:
 *
 *     split        <upstream n>  <policy n>  all|some
 *     split_match  <match n>                  of the split line above
 *     share        <upstream n>  <weight>     of the split line above
 *     breaker      <n>  <policy n>  <errors>  <milliseconds>  <upstream n>|-
 *     guard        <upstream n>  <breaker n>
 *     headless     <address>  <port>  <upstream n>
 */


#include "ngx_mesh_parse.h"
#include "ngx_mesh_split.h"


/* the sum of all that a document can hold is less than a draw's 62 bits */
#define NGX_MESH_WEIGHT_MAX  0x7fffffff


static const ngx_conf_enum_t  ngx_mesh_split_what[] = {
    { ngx_string("all"), 0 },
    { ngx_string("some"), 1 },
    { ngx_null_string, 0 }
};


/* what field i numbers, of so many that were introduced */

static ngx_int_t
ngx_mesh_parse_reference(ngx_mesh_parser_t *p, ngx_uint_t i, const char *what,
    ngx_uint_t count, ngx_uint_t *n)
{
    if (count == 0) {
        return ngx_mesh_line_error(&p->line, what, &p->line.field[i],
                                   "the number of a line above");
    }

    return ngx_mesh_line_number(&p->line, i, what, 0, count - 1, n);
}


static ngx_int_t
ngx_mesh_parse_upstream_number(ngx_mesh_parser_t *p, ngx_uint_t i,
    ngx_mesh_upstream_t **u)
{
    ngx_uint_t  n;

    if (ngx_mesh_parse_reference(p, i, "upstream", p->table->nupstreams, &n)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    *u = &p->table->upstreams[n];

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_split_allocate(ngx_mesh_parser_t *p)
{
    ngx_pool_t         *pool;
    ngx_mesh_counts_t  *n;
    ngx_mesh_table_t   *t;

    t = p->table;
    pool = t->pool;
    n = &p->lines;

    t->splits = ngx_pcalloc(pool, (n->splits + 1) * sizeof(ngx_mesh_split_t));
    t->split_matches = ngx_pcalloc(pool, (n->split_matches + 1)
                                         * sizeof(ngx_mesh_match_t *));
    t->shares = ngx_pcalloc(pool, (n->shares + 1) * sizeof(ngx_mesh_share_t));
    t->breakers = ngx_pcalloc(pool, (n->breakers + 1)
                                    * sizeof(ngx_mesh_breaker_t));
    p->headless = ngx_pcalloc(pool, (n->headless + 1)
                                    * sizeof(ngx_mesh_route_t));

    if (t->splits == NULL || t->split_matches == NULL || t->shares == NULL
        || t->breakers == NULL || p->headless == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_split(ngx_mesh_parser_t *p)
{
    ngx_mesh_table_t  *t;
    ngx_mesh_split_t  *s;

    t = p->table;
    s = &t->splits[t->nsplits];

    if (ngx_mesh_parse_upstream_number(p, 1, &s->root) != NGX_OK
        || ngx_mesh_parse_policy_number(p, 2, NGX_MESH_POLICY_SPLIT,
                                        &s->policy) != NGX_OK
        || ngx_mesh_line_enum(&p->line, 3, "requests", "all, some",
                              ngx_mesh_split_what, &s->some)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    s->matches = &t->split_matches[t->nsplit_matches];
    s->shares = &t->shares[t->nshares];

    if (s->root->splits) {
        s->root->last_split->next = s;

    } else {
        s->root->splits = s;
    }

    s->root->last_split = s;
    t->nsplits++;

    return NGX_OK;
}


static ngx_mesh_split_t *
ngx_mesh_parse_latest_split(ngx_mesh_parser_t *p)
{
    if (p->table->nsplits == 0) {
        (void) ngx_mesh_line_error(&p->line, "line", &p->line.field[0],
                                   "a split line above it");
        return NULL;
    }

    return &p->table->splits[p->table->nsplits - 1];
}


ngx_int_t
ngx_mesh_parse_split_match(ngx_mesh_parser_t *p)
{
    ngx_mesh_table_t  *t;
    ngx_mesh_split_t  *s;

    t = p->table;
    s = ngx_mesh_parse_latest_split(p);

    if (s == NULL
        || ngx_mesh_parse_match_number(p, 1,
                                       &t->split_matches[t->nsplit_matches])
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    t->nsplit_matches++;
    s->nmatches++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_share(ngx_mesh_parser_t *p)
{
    ngx_mesh_split_t  *s;
    ngx_mesh_share_t  *share;

    s = ngx_mesh_parse_latest_split(p);
    share = &p->table->shares[p->table->nshares];

    if (s == NULL
        || ngx_mesh_parse_upstream_number(p, 1, &share->upstream) != NGX_OK
        || ngx_mesh_line_number(&p->line, 2, "weight", 0, NGX_MESH_WEIGHT_MAX,
                                &share->weight)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    p->table->nshares++;
    s->nshares++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_breaker(ngx_mesh_parser_t *p)
{
    ngx_str_t           *fallback;
    ngx_uint_t           n;
    ngx_mesh_table_t    *t;
    ngx_mesh_breaker_t  *b;

    t = p->table;
    b = &t->breakers[t->nbreakers];
    fallback = &p->line.field[5];

    if (ngx_mesh_line_number(&p->line, 1, "breaker", t->nbreakers,
                             t->nbreakers, &n)
        != NGX_OK
        || ngx_mesh_parse_policy_number(p, 2, NGX_MESH_POLICY_BREAKER,
                                        &b->policy) != NGX_OK
        || ngx_mesh_line_number(&p->line, 3, "errors", 0,
                                NGX_MESH_CIRCUIT_ERRORS_MAX, &b->guard.errors)
           != NGX_OK
        || ngx_mesh_line_number(&p->line, 4, "milliseconds", 0,
                                NGX_MESH_CIRCUIT_MSEC_MAX, &b->guard.window)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!(fallback->len == 1 && fallback->data[0] == '-')
        && ngx_mesh_parse_upstream_number(p, 5, &b->fallback) != NGX_OK)
    {
        return NGX_ERROR;
    }

    t->nbreakers++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_guard(ngx_mesh_parser_t *p)
{
    ngx_uint_t            n;
    ngx_mesh_upstream_t  *u;

    if (ngx_mesh_parse_upstream_number(p, 1, &u) != NGX_OK
        || ngx_mesh_parse_reference(p, 2, "breaker", p->table->nbreakers, &n)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (u->breaker) {
        return ngx_mesh_line_error(&p->line, "guard", &p->line.field[1],
                                   "one line for each upstream");
    }

    u->breaker = &p->table->breakers[n];

    return NGX_OK;
}


/* kept aside: lines "pod" make routes when all are read */

ngx_int_t
ngx_mesh_parse_headless(ngx_mesh_parser_t *p)
{
    ngx_mesh_route_t  *r;

    r = &p->headless[p->nheadless];

    if (ngx_mesh_line_addr(&p->line, 1, &r->addr) != NGX_OK
        || ngx_mesh_parse_upstream_number(p, 3, &r->upstream) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p->nheadless++;

    return NGX_OK;
}


/* a Service at a cluster IP is that Service, whatever a line says */

void
ngx_mesh_parse_headless_pods(ngx_mesh_parser_t *p)
{
    ngx_uint_t         i;
    ngx_mesh_route_t  *r;

    for (i = 0; i < p->nheadless; i++) {
        r = ngx_mesh_table_find(p->table, &p->headless[i].addr);

        if (r && r->upstream->pod) {
            r->upstream->splits = p->headless[i].upstream->splits;
            r->upstream->breaker = p->headless[i].upstream->breaker;
        }
    }
}
