
/*
 * The lines of the document "state" that policies of every kind share: the
 * objects that asked for them, and matches of requests.
 *
 *     policy  <n>  split|target|limit|breaker  <namespace/name>
 *     match   <n>  <path pattern>|-  <methods>|-
 *     header  <match n>  <name>  <pattern>|-
 */


#include "ngx_mesh_parse.h"


#define NGX_MESH_NAME_MAX  512


static const ngx_conf_enum_t  ngx_mesh_policy_kinds[] = {
    { ngx_string("split"), NGX_MESH_POLICY_SPLIT },
    { ngx_string("target"), NGX_MESH_POLICY_TARGET },
    { ngx_string("limit"), NGX_MESH_POLICY_LIMIT },
    { ngx_string("breaker"), NGX_MESH_POLICY_BREAKER },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_mesh_parse_policy(ngx_mesh_parser_t *p)
{
    u_char              *slash, *last;
    ngx_str_t           *name;
    ngx_uint_t           n, kind;
    ngx_mesh_line_t     *l;
    ngx_mesh_table_t    *t;
    ngx_mesh_policy_t   *policy;

    l = &p->line;
    t = p->table;
    name = &l->field[3];

    if (ngx_mesh_line_number(l, 1, "policy", t->npolicies, t->npolicies, &n)
        != NGX_OK
        || ngx_mesh_line_enum(l, 2, "policy kind",
                              "split, target, limit, breaker",
                              ngx_mesh_policy_kinds, &kind)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    last = name->data + name->len;
    slash = ngx_strlchr(name->data, last, '/');

    if (slash == NULL || slash == name->data || slash == last - 1
        || name->len > NGX_MESH_NAME_MAX)
    {
        return ngx_mesh_line_error(l, "policy name", name,
                                   "<namespace>/<name>");
    }

    policy = &t->policies[t->npolicies++];
    policy->kind = kind;
    policy->name = *name;

    return NGX_OK;
}


/* the policy of that kind that field i numbers */

ngx_int_t
ngx_mesh_parse_policy_number(ngx_mesh_parser_t *p, ngx_uint_t i,
    ngx_mesh_policy_e kind, ngx_mesh_policy_t **policy)
{
    ngx_uint_t         n;
    ngx_mesh_line_t   *l;
    ngx_mesh_table_t  *t;

    l = &p->line;
    t = p->table;

    if (t->npolicies == 0) {
        return ngx_mesh_line_error(l, "policy", &l->field[i],
                                   "the number of a policy line above");
    }

    if (ngx_mesh_line_number(l, i, "policy", 0, t->npolicies - 1, &n)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (t->policies[n].kind != kind) {
        return ngx_mesh_line_error(l, "policy", &l->field[i],
                                   "a policy of this kind of line");
    }

    *policy = &t->policies[n];

    return NGX_OK;
}


/* the match that field i numbers */

ngx_int_t
ngx_mesh_parse_match_number(ngx_mesh_parser_t *p, ngx_uint_t i,
    ngx_mesh_match_t **match)
{
    ngx_uint_t         n;
    ngx_mesh_line_t   *l;
    ngx_mesh_table_t  *t;

    l = &p->line;
    t = p->table;

    if (t->nmatches == 0) {
        return ngx_mesh_line_error(l, "match", &l->field[i],
                                   "the number of a match line above");
    }

    if (ngx_mesh_line_number(l, i, "match", 0, t->nmatches - 1, &n)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    *match = &t->matches[n];

    return NGX_OK;
}


/* RFC 9110, 5.6.2 */

static ngx_uint_t
ngx_mesh_parse_is_token(u_char *p, u_char *last)
{
    if (p == last) {
        return 0;
    }

    for ( /* void */ ; p < last; p++) {

        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
              || (*p >= '0' && *p <= '9')
              || ngx_strchr("!#$%&'*+-.^_`|~", *p)))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_mesh_parse_methods(ngx_mesh_parser_t *p, ngx_str_t *field,
    ngx_mesh_match_t *m)
{
    u_char      *start, *end, *last;
    ngx_uint_t   n;

    if (ngx_mesh_parse_is_none(field)) {
        return NGX_OK;
    }

    start = field->data;
    last = start + field->len;

    for (n = 1, end = start; end < last; end++) {
        n += (*end == ',');
    }

    m->methods = ngx_palloc(p->table->pool, n * sizeof(ngx_str_t));
    if (m->methods == NULL) {
        return ngx_mesh_line_error(&p->line, "methods", field,
                                   "what there is memory for");
    }

    for ( /* void */ ; m->nmethods < n; start = end + 1) {

        end = ngx_strlchr(start, last, ',');
        end = end ? end : last;

        if (!ngx_mesh_parse_is_token(start, end)) {
            return ngx_mesh_line_error(&p->line, "methods", field,
                                       "methods separated by commas, or -");
        }

        m->methods[m->nmethods].data = start;
        m->methods[m->nmethods++].len = end - start;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_match(ngx_mesh_parser_t *p)
{
    ngx_uint_t         n;
    ngx_mesh_line_t   *l;
    ngx_mesh_match_t  *m;
    ngx_mesh_table_t  *t;

    l = &p->line;
    t = p->table;
    m = &t->matches[t->nmatches];

    if (ngx_mesh_line_number(l, 1, "match", t->nmatches, t->nmatches, &n)
        != NGX_OK
        || ngx_mesh_parse_pattern(p, 2, "path", &m->path) != NGX_OK
        || ngx_mesh_parse_methods(p, &l->field[3], m) != NGX_OK)
    {
        return NGX_ERROR;
    }

    t->nmatches++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_header(ngx_mesh_parser_t *p)
{
    ngx_str_t             *name;
    ngx_uint_t             i;
    ngx_mesh_line_t       *l;
    ngx_mesh_match_t      *m;
    ngx_mesh_criterion_t  *c;

    l = &p->line;
    name = &l->field[2];

    c = ngx_pcalloc(p->table->pool, sizeof(ngx_mesh_criterion_t));
    if (c == NULL) {
        return ngx_mesh_line_error(l, "header", name,
                                   "what there is memory for");
    }

    if (ngx_mesh_parse_match_number(p, 1, &m) != NGX_OK
        || ngx_mesh_parse_pattern(p, 3, "value", &c->value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < name->len; i++) {
        if (name->data[i] >= 'A' && name->data[i] <= 'Z') {
            break;
        }
    }

    if (i < name->len
        || !ngx_mesh_parse_is_token(name->data, name->data + name->len))
    {
        return ngx_mesh_line_error(l, "header", name,
                                   "the name of a header in lower case");
    }

    c->name = *name;
    c->next = m->headers;
    m->headers = c;

    return NGX_OK;
}
