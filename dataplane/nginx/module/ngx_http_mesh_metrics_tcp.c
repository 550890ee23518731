
/*
 * The counters of TCP connections as Prometheus text, under the names of
 * NGINX Plus: bytes and connections as counters, times as means in ms.
 */


#include "ngx_http_mesh_scrape.h"


#define NGX_HTTP_MESH_COUNTER  -1


typedef struct {
    ngx_mesh_tcp_value_e      value;
    ngx_int_t                 divisor;       /* a value, or _COUNTER */
} ngx_http_mesh_tcp_metric_t;


/* in the order of the parts */

static ngx_http_mesh_tcp_metric_t  ngx_http_mesh_tcp_metrics[] = {
    { NGX_MESH_TCP_CONNECTIONS, NGX_HTTP_MESH_COUNTER },
    { NGX_MESH_TCP_SENT, NGX_HTTP_MESH_COUNTER },
    { NGX_MESH_TCP_RECEIVED, NGX_HTTP_MESH_COUNTER },
    { NGX_MESH_TCP_CONNECT_TIME, NGX_MESH_TCP_CONNECTIONS },
    { NGX_MESH_TCP_FIRST_BYTE_TIME, NGX_MESH_TCP_FIRST_BYTES },
    { NGX_MESH_TCP_RESPONSE_TIME, NGX_MESH_TCP_ENDED }
};


void
ngx_http_mesh_tcp(ngx_mesh_text_t *t, ngx_http_mesh_part_t *part,
    ngx_mesh_slot_t *slot, ngx_str_t *labels)
{
    ngx_atomic_uint_t            n, value;
    ngx_http_mesh_tcp_metric_t  *m;

    if (slot->family != NGX_MESH_FAMILY_TCP_OUTGOING
        && slot->family != NGX_MESH_FAMILY_TCP_INCOMING)
    {
        return;
    }

    m = &ngx_http_mesh_tcp_metrics[part->family];
    value = slot->values[m->value];

    if (m->divisor != NGX_HTTP_MESH_COUNTER) {
        n = slot->values[m->divisor];

        if (n == 0) {
            return;
        }

        value = (value + n / 2) / n;
    }

    ngx_mesh_text(t, "%s{%V} %uA\n", part->name, labels, value);
}
