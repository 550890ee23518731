
/*
 * Does a request fit a match of a route group (lines "match" and "header" of
 * docs/reference/nginx-state.md)?  All its criteria must fit.
 */


#ifndef _NGX_MESH_MATCH_H_INCLUDED_
#define _NGX_MESH_MATCH_H_INCLUDED_


#include "ngx_mesh_regex.h"


typedef struct ngx_mesh_criterion_s  ngx_mesh_criterion_t;


struct ngx_mesh_criterion_s {
    ngx_str_t                 name;          /* in lower case */
    ngx_mesh_regex_t         *value;         /* NULL: any */
    ngx_mesh_criterion_t     *next;
};


typedef struct {
    ngx_mesh_regex_t         *path;          /* NULL: any */
    ngx_str_t                *methods;
    ngx_uint_t                nmethods;      /* 0: any */
    ngx_mesh_criterion_t     *headers;
} ngx_mesh_match_t;


/*
 * Values of a header of the request "data", joined by ", ".  NGX_DECLINED:
 * there is none; NGX_ERROR: no memory
 */

typedef ngx_int_t (*ngx_mesh_header_pt)(void *data, ngx_mesh_criterion_t *c,
    ngx_str_t *value);


typedef struct {
    ngx_str_t                *path;          /* normalised, without query */
    ngx_str_t                *method;
    ngx_mesh_header_pt        header;
    void                     *data;
} ngx_mesh_subject_t;


/*
 * NGX_OK: it fits; NGX_DECLINED: it does not; NGX_ERROR: not known, a search
 * was given up.  What that means depends on what the match is for
 */

ngx_int_t ngx_mesh_match(ngx_mesh_match_t *m, ngx_mesh_subject_t *subject);


#endif /* _NGX_MESH_MATCH_H_INCLUDED_ */
