
/*
 * The histograms of response times as Prometheus text.
 */


#include "ngx_http_mesh_scrape.h"


#define NGX_HTTP_MESH_LATENCY  "nginxplus_upstream_server_response_latency_ms"


void
ngx_http_mesh_latency(ngx_mesh_text_t *t, ngx_mesh_histogram_t *h,
    ngx_str_t *labels)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  n;

    for (i = 0, n = 0; i < NGX_MESH_BUCKETS; i++) {
        n += h->buckets[i];

        ngx_mesh_text(t, NGX_HTTP_MESH_LATENCY "_bucket{%V,code=\"%uD\","
                      "le=\"%M\"} %uA\n",
                      labels, h->code, ngx_mesh_buckets[i], n);
    }

    n += h->buckets[NGX_MESH_BUCKETS];

    ngx_mesh_text(t, NGX_HTTP_MESH_LATENCY "_bucket{%V,code=\"%uD\","
                  "le=\"+Inf\"} %uA\n", labels, h->code, n);
    ngx_mesh_text(t, NGX_HTTP_MESH_LATENCY "_sum{%V,code=\"%uD\"} %uA\n",
                  labels, h->code, h->sum);
    ngx_mesh_text(t, NGX_HTTP_MESH_LATENCY "_count{%V,code=\"%uD\"} %uA\n",
                  labels, h->code, n);
}
