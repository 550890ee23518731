
/*
 * What the readers of the document's lines share while one is read.
 */


#ifndef _NGX_MESH_PARSE_H_INCLUDED_
#define _NGX_MESH_PARSE_H_INCLUDED_


#include "ngx_mesh_table.h"


typedef struct {
    ngx_uint_t                incoming;
    ngx_uint_t                identities;
    ngx_uint_t                upstreams;
    ngx_uint_t                endpoints;
    ngx_uint_t                routes;
    ngx_uint_t                pods;
    ngx_uint_t                injected;
    ngx_uint_t                policies;
    ngx_uint_t                matches;
    ngx_uint_t                headers;
    ngx_uint_t                splits;
    ngx_uint_t                split_matches;
    ngx_uint_t                shares;
    ngx_uint_t                breakers;
    ngx_uint_t                headless;
    ngx_uint_t                targets;
    ngx_uint_t                target_sources;
    ngx_uint_t                target_matches;
    ngx_uint_t                limits;
    ngx_uint_t                limit_sources;
    ngx_uint_t                limit_ports;
    ngx_uint_t                limit_matches;
} ngx_mesh_counts_t;


typedef struct {
    ngx_mesh_table_t         *table;
    ngx_mesh_line_t           line;
    ngx_mesh_counts_t         lines;         /* in the whole document */
    ngx_uint_t                npods;         /* read so far */
    ngx_mesh_route_t         *pod_routes;
    ngx_mesh_regexes_t       *regexes;       /* NULL: none yet */
    ngx_mesh_route_t         *headless;
    ngx_uint_t                nheadless;     /* read so far */
    ngx_uint_t                settings;      /* bit per setting seen */
    unsigned                  mode:1;
    unsigned                  end:1;
} ngx_mesh_parser_t;


ngx_int_t ngx_mesh_parse_first(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_trust_domain(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_mode(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_set(ngx_mesh_parser_t *p);

ngx_int_t ngx_mesh_parse_incoming(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_identity(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_upstream(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_endpoint(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_request(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_route(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_pod(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_injected(ngx_mesh_parser_t *p);

ngx_int_t ngx_mesh_parse_identity_number(ngx_mesh_parser_t *p, ngx_uint_t i,
    ngx_uint_t optional, ngx_str_t *identity);

ngx_int_t ngx_mesh_parse_policy(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_policy_number(ngx_mesh_parser_t *p, ngx_uint_t i,
    ngx_mesh_policy_e kind, ngx_mesh_policy_t **policy);
ngx_int_t ngx_mesh_parse_match(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_match_number(ngx_mesh_parser_t *p, ngx_uint_t i,
    ngx_mesh_match_t **match);
ngx_int_t ngx_mesh_parse_header(ngx_mesh_parser_t *p);

ngx_uint_t ngx_mesh_parse_is_none(ngx_str_t *field);
ngx_int_t ngx_mesh_parse_pattern(ngx_mesh_parser_t *p, ngx_uint_t i,
    const char *what, ngx_mesh_regex_t **re);

/* ngx_mesh_parse_split.c */
ngx_int_t ngx_mesh_parse_split_allocate(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_split(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_split_match(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_share(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_breaker(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_guard(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_headless(ngx_mesh_parser_t *p);
void ngx_mesh_parse_headless_pods(ngx_mesh_parser_t *p);

ngx_int_t ngx_mesh_parse_access(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_target(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_target_source(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_target_match(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_target_tcp(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_limit(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_limit_source(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_limit_port(ngx_mesh_parser_t *p);
ngx_int_t ngx_mesh_parse_limit_match(ngx_mesh_parser_t *p);


#endif /* _NGX_MESH_PARSE_H_INCLUDED_ */
