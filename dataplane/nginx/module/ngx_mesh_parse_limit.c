
/*
 * The lines of the document "state" that say how fast requests may come.
 *
 *     limit         <n>  <policy n>  <millionths of a request per second>
 *                   <burst>  <delay>|nodelay  <status>  named|everyone
 *     limit_source  <bucket>  <namespace/pod>
 *     limit_port    <port>
 *     limit_match   <match n>
 */


#include "ngx_mesh_parse.h"


static const ngx_conf_enum_t  ngx_mesh_limit_delays[] = {
    { ngx_string("nodelay"), 1 },
    { ngx_null_string, 0 }
};


static const ngx_conf_enum_t  ngx_mesh_limit_statuses[] = {
    { ngx_string("429"), 429 },
    { ngx_string("503"), 503 },
    { ngx_null_string, 0 }
};


static const ngx_conf_enum_t  ngx_mesh_limit_callers[] = {
    { ngx_string("named"), 0 },
    { ngx_string("everyone"), 1 },
    { ngx_null_string, 0 }
};


static ngx_int_t
ngx_mesh_parse_limit_delay(ngx_mesh_line_t *l, ngx_mesh_limit_t *limit)
{
    ngx_uint_t  delay;

    if (l->field[5].len && l->field[5].data[0] == 'n') {
        limit->delay = NGX_MESH_NO_DELAY;
        return ngx_mesh_line_enum(l, 5, "delay", "a number, nodelay",
                                  ngx_mesh_limit_delays, &delay);
    }

    if (ngx_mesh_line_number(l, 5, "delay", 0, NGX_MAX_INT_T_VALUE, &delay)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    limit->delay = (uint64_t) ngx_min(delay, NGX_MESH_LIMIT_BURST_MAX) * 1000;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_limit(ngx_mesh_parser_t *p)
{
    ngx_str_t           nobody = ngx_null_string;
    ngx_uint_t          n, rate, burst, everyone;
    ngx_mesh_line_t    *l;
    ngx_mesh_limit_t   *limit;
    ngx_mesh_limits_t  *ls;

    l = &p->line;
    ls = &p->table->limits;
    limit = &ls->limits[ls->nlimits];

    if (ngx_mesh_line_number(l, 1, "limit", ls->nlimits, ls->nlimits, &n)
        != NGX_OK
        || ngx_mesh_parse_policy_number(p, 2, NGX_MESH_POLICY_LIMIT,
                                        &limit->policy)
           != NGX_OK
        || ngx_mesh_line_number(l, 3, "rate", 0, NGX_MAX_INT_T_VALUE, &rate)
           != NGX_OK
        || ngx_mesh_line_number(l, 4, "burst", 0, NGX_MAX_INT_T_VALUE, &burst)
           != NGX_OK
        || ngx_mesh_parse_limit_delay(l, limit) != NGX_OK
        || ngx_mesh_line_enum(l, 6, "status", "429, 503",
                              ngx_mesh_limit_statuses, &limit->status)
           != NGX_OK
        || ngx_mesh_line_enum(l, 7, "callers", "named, everyone",
                              ngx_mesh_limit_callers, &everyone)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a small rate among many sources may be rounded down to nothing */

    limit->rate = ngx_max(ngx_min(rate, NGX_MESH_LIMIT_RATE_MAX), 1);
    limit->burst = (uint64_t) ngx_min(burst, NGX_MESH_LIMIT_BURST_MAX) * 1000;
    limit->ports = &ls->ports[ls->nports];
    limit->matches = &ls->matches[ls->nmatches];

    ls->nlimits++;

    if (everyone) {
        ngx_mesh_limits_name(ls, &nobody, 0);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_parse_has_limit(ngx_mesh_parser_t *p)
{
    ngx_mesh_line_t  *l;

    l = &p->line;

    if (p->table->limits.nlimits == 0) {
        return ngx_mesh_line_error(l, "limit", &l->field[0],
                                   "a limit line above");
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_limit_source(ngx_mesh_parser_t *p)
{
    u_char           *slash, *last;
    ngx_str_t        *pod;
    ngx_uint_t        bucket;
    ngx_mesh_line_t  *l;

    l = &p->line;
    pod = &l->field[2];

    if (ngx_mesh_parse_has_limit(p) != NGX_OK
        || ngx_mesh_line_number(l, 1, "bucket", 0, NGX_MAX_UINT32_VALUE,
                                &bucket)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    last = pod->data + pod->len;
    slash = ngx_strlchr(pod->data, last, '/');

    if (slash == NULL || slash == pod->data || slash == last - 1) {
        return ngx_mesh_line_error(l, "pod", pod, "<namespace>/<pod>");
    }

    ngx_mesh_limits_name(&p->table->limits, pod, bucket);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_limit_port(ngx_mesh_parser_t *p)
{
    ngx_uint_t          port;
    ngx_mesh_limits_t  *ls;

    ls = &p->table->limits;

    if (ngx_mesh_parse_has_limit(p) != NGX_OK
        || ngx_mesh_line_number(&p->line, 1, "port", 1, 65535, &port)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ls->ports[ls->nports++] = (in_port_t) port;
    ls->limits[ls->nlimits - 1].nports++;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_limit_match(ngx_mesh_parser_t *p)
{
    ngx_mesh_match_t   *match;
    ngx_mesh_limits_t  *ls;

    ls = &p->table->limits;

    if (ngx_mesh_parse_has_limit(p) != NGX_OK
        || ngx_mesh_parse_match_number(p, 1, &match) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ls->matches[ls->nmatches++] = match;
    ls->limits[ls->nlimits - 1].nmatches++;

    return NGX_OK;
}
