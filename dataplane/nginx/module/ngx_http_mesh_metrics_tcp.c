
/*
 * The counters of TCP connections as Prometheus text, under the names of
 * NGINX Plus: bytes and connections as counters, times as means in ms.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


#define NGX_HTTP_MESH_COUNTER  -1


typedef struct {
    const char               *name;
    const char               *help;
    ngx_mesh_tcp_value_e      value;
    ngx_int_t                 divisor;       /* a value, or _COUNTER */
} ngx_http_mesh_tcp_metric_t;


static ngx_http_mesh_tcp_metric_t  ngx_http_mesh_tcp_metrics[] = {

    { "connections", "TCP connections made to an upstream server.",
      NGX_MESH_TCP_CONNECTIONS, NGX_HTTP_MESH_COUNTER },

    { "sent", "Bytes sent to an upstream server by TCP.",
      NGX_MESH_TCP_SENT, NGX_HTTP_MESH_COUNTER },

    { "received", "Bytes received from an upstream server by TCP.",
      NGX_MESH_TCP_RECEIVED, NGX_HTTP_MESH_COUNTER },

    { "connect_time", "Mean time to connect, handshake included, in ms.",
      NGX_MESH_TCP_CONNECT_TIME, NGX_MESH_TCP_CONNECTIONS },

    { "first_byte_time", "Mean time to the first byte received, in ms.",
      NGX_MESH_TCP_FIRST_BYTE_TIME, NGX_MESH_TCP_FIRST_BYTES },

    { "response_time", "Mean time to the end of the connection, in ms.",
      NGX_MESH_TCP_RESPONSE_TIME, NGX_MESH_TCP_ENDED }
};


static void
ngx_http_mesh_tcp_value(ngx_mesh_text_t *t, ngx_http_mesh_tcp_metric_t *m,
    ngx_mesh_slot_t *slot)
{
    ngx_str_t          labels;
    ngx_atomic_uint_t  n, value;

    value = slot->values[m->value];

    if (m->divisor != NGX_HTTP_MESH_COUNTER) {
        n = slot->values[m->divisor];

        if (n == 0) {
            return;
        }

        value = (value + n / 2) / n;
    }

    labels.data = slot->labels;
    labels.len = slot->len;

    ngx_mesh_text(t, "nginxplus_stream_upstream_server_%s{%V} %uA\n", m->name,
                  &labels, value);
}


void
ngx_http_mesh_tcp(ngx_mesh_text_t *t, ngx_mesh_counters_t *c)
{
    ngx_uint_t                   i, j;
    ngx_mesh_slot_t             *slot;
    ngx_http_mesh_tcp_metric_t  *m;

    for (i = 0;
         i < sizeof(ngx_http_mesh_tcp_metrics)
             / sizeof(ngx_http_mesh_tcp_metrics[0]);
         i++)
    {
        m = &ngx_http_mesh_tcp_metrics[i];

        ngx_mesh_text(t, "# HELP nginxplus_stream_upstream_server_%s %s\n"
                      "# TYPE nginxplus_stream_upstream_server_%s %s\n",
                      m->name, m->help, m->name,
                      m->divisor == NGX_HTTP_MESH_COUNTER ? "counter"
                                                          : "gauge");

        for (j = 0; j < c->nslots; j++) {
            slot = &c->slots[j];

            if (slot->hash && (slot->family == NGX_MESH_FAMILY_TCP_OUTGOING
                               || slot->family
                                  == NGX_MESH_FAMILY_TCP_INCOMING))
            {
                ngx_http_mesh_tcp_value(t, m, slot);
            }
        }
    }
}
