
/*
 * The histograms of response times as Prometheus text.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


#define NGX_HTTP_MESH_LATENCY  "nginxplus_upstream_server_response_latency_ms"


static void
ngx_http_mesh_latency_series(ngx_mesh_text_t *t, ngx_str_t *labels,
    ngx_mesh_histogram_t *h)
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


void
ngx_http_mesh_latency(ngx_mesh_text_t *t, ngx_mesh_counters_t *c)
{
    ngx_str_t              labels;
    ngx_uint_t             i;
    ngx_mesh_slot_t       *slot;
    ngx_mesh_histogram_t  *h;

    ngx_mesh_text(t, "# HELP " NGX_HTTP_MESH_LATENCY " Time from the "
                  "connection to an upstream server to the last byte of its "
                  "response.\n# TYPE " NGX_HTTP_MESH_LATENCY " histogram\n");

    for (i = 0; i < c->nhistograms; i++) {
        h = &c->histograms[i];
        slot = &c->slots[h->slot];

        if (h->hash == 0 || slot->hash != h->hash) {
            continue;
        }

        labels.data = slot->labels;
        labels.len = slot->len;

        ngx_http_mesh_latency_series(t, &labels, h);
    }
}
