
/*
 * What a scrape of the metrics consists of.
 */


#ifndef _NGX_HTTP_MESH_SCRAPE_H_INCLUDED_
#define _NGX_HTTP_MESH_SCRAPE_H_INCLUDED_


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


typedef struct ngx_http_mesh_part_s  ngx_http_mesh_part_t;

/* one metric, with its series; or "all", some metrics that are short */

struct ngx_http_mesh_part_s {
    const char   *name;
    const char   *type;                      /* NULL: the heading was written */
    const char   *help;
    ngx_uint_t    family;                    /* or another number of its own */

    void        (*all)(ngx_mesh_text_t *t, ngx_mesh_counters_t *c);
    void        (*slot)(ngx_mesh_text_t *t, ngx_http_mesh_part_t *part,
                        ngx_mesh_slot_t *slot, ngx_str_t *labels);
    void        (*histogram)(ngx_mesh_text_t *t, ngx_mesh_histogram_t *h,
                             ngx_str_t *labels);
};


#define ngx_http_mesh_tcp_part(name, type, help, number)                      \
    { "nginxplus_stream_upstream_server_" name, type, help, number, NULL,     \
      ngx_http_mesh_tcp, NULL }


void ngx_http_mesh_metric(ngx_mesh_text_t *t, const char *name,
    const char *type, const char *help);
void ngx_http_mesh_latency(ngx_mesh_text_t *t, ngx_mesh_histogram_t *h,
    ngx_str_t *labels);
void ngx_http_mesh_tcp(ngx_mesh_text_t *t, ngx_http_mesh_part_t *part,
    ngx_mesh_slot_t *slot, ngx_str_t *labels);


extern ngx_http_mesh_part_t  ngx_http_mesh_parts[];
extern ngx_uint_t            ngx_http_mesh_nparts;


#endif /* _NGX_HTTP_MESH_SCRAPE_H_INCLUDED_ */
