
/*
 * Patterns of policies: PCRE2 on bytes, searched anywhere in a text, with
 * bounds on how long one search may take and how much memory it may need
 * (docs/reference/nginx-state.md, "Patterns").
 *
 * Patterns belong to a set, which a table owns: the same text is compiled
 * once in it, and all are freed with the set's pool.
 */


#ifndef _NGX_MESH_REGEX_H_INCLUDED_
#define _NGX_MESH_REGEX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_MESH_PATTERN_MAX        1024     /* bytes of one */
#define NGX_MESH_PATTERN_ERROR_MAX  256


typedef struct ngx_mesh_regex_s  ngx_mesh_regex_t;


typedef struct {
    ngx_pool_t               *pool;
    ngx_mesh_regex_t        **slots;         /* open addressing */
    ngx_uint_t                mask;
    ngx_mesh_regex_t         *last;          /* all, newest first */
} ngx_mesh_regexes_t;


/* for at most n patterns, which are freed with the pool */

ngx_mesh_regexes_t *ngx_mesh_regexes(ngx_pool_t *pool, ngx_uint_t n);


/* NULL: there is no memory for it */

ngx_mesh_regex_t *ngx_mesh_regex(ngx_mesh_regexes_t *set, ngx_str_t *pattern);


/* what PCRE2 takes in its place; NULL: nothing is wrong with the pattern */

const char *ngx_mesh_regex_wrong(ngx_mesh_regex_t *re);


/*
 * NGX_OK: found; NGX_DECLINED; NGX_ERROR: given up, it would take too long,
 * or the pattern is a wrong one
 */

ngx_int_t ngx_mesh_regex_search(ngx_mesh_regex_t *re, ngx_str_t *text);


/* bytes of the compiled pattern, its machine code included */

size_t ngx_mesh_regex_size(ngx_mesh_regex_t *re);


#endif /* _NGX_MESH_REGEX_H_INCLUDED_ */
