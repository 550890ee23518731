
/*
 * The counters as Prometheus text (names: docs/reference/metrics.md), in the
 * parts that a scrape writes one after the other (ngx_http_mesh_scrape.c).
 */


#include "ngx_http_mesh_scrape.h"


void
ngx_http_mesh_metric(ngx_mesh_text_t *t, const char *name, const char *type,
    const char *help)
{
    ngx_mesh_text(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}


static void
ngx_http_mesh_by_direction(ngx_mesh_text_t *t, const char *name,
    const char *help, ngx_atomic_t *values)
{
    ngx_http_mesh_metric(t, name, "counter", help);

    ngx_mesh_text(t, "%s %uA\n", name, values[NGX_MESH_INCOMING]
                                       + values[NGX_MESH_OUTGOING]);
}


static void
ngx_http_mesh_connections(ngx_mesh_text_t *t, ngx_mesh_counters_t *c)
{
    ngx_http_mesh_by_direction(t, "nginxplus_connections_accepted",
                               "Connections redirected to the sidecar.",
                               c->accepted);
    ngx_http_mesh_by_direction(t, "nginxplus_connections_handled",
                               "Redirected connections not refused.",
                               c->handled);

    ngx_http_mesh_metric(t, "nginxplus_connections_active", "gauge",
                         "Redirected connections now open.");

    ngx_mesh_text(t, "nginxplus_connections_active %ui\n",
                  ngx_mesh_count_open());

    ngx_http_mesh_by_direction(t, "nginxplus_http_requests_total",
                               "HTTP requests, incoming and outgoing.",
                               c->requests);

    ngx_http_mesh_metric(t, "nginx_mesh_http_requests_total", "counter",
                         "HTTP requests by direction.");
    ngx_mesh_text(t, "nginx_mesh_http_requests_total{direction=\"incoming\"} "
                  "%uA\nnginx_mesh_http_requests_total{direction="
                  "\"outgoing\"} %uA\n",
                  c->requests[NGX_MESH_INCOMING],
                  c->requests[NGX_MESH_OUTGOING]);
}


static ngx_uint_t
ngx_http_mesh_is_call(ngx_mesh_slot_t *slot)
{
    return slot->family == NGX_MESH_FAMILY_OUTGOING
           || slot->family == NGX_MESH_FAMILY_INCOMING;
}


static void
ngx_http_mesh_requests(ngx_mesh_text_t *t, ngx_http_mesh_part_t *part,
    ngx_mesh_slot_t *slot, ngx_str_t *labels)
{
    if (ngx_http_mesh_is_call(slot)) {
        ngx_mesh_text(t, "%s{%V} %uA\n", part->name, labels,
                      slot->values[NGX_MESH_VALUE_REQUESTS]);
    }
}


static void
ngx_http_mesh_responses(ngx_mesh_text_t *t, ngx_http_mesh_part_t *part,
    ngx_mesh_slot_t *slot, ngx_str_t *labels)
{
    ngx_uint_t  class;

    if (!ngx_http_mesh_is_call(slot)) {
        return;
    }

    for (class = 1; class <= 5; class++) {
        ngx_mesh_text(t, "%s{%V,code=\"%uixx\"} %uA\n", part->name, labels,
                      class, slot->values[NGX_MESH_VALUE_CLASS + class]);
    }
}


static void
ngx_http_mesh_value(ngx_mesh_text_t *t, ngx_http_mesh_part_t *part,
    ngx_mesh_slot_t *slot, ngx_str_t *labels)
{
    if (slot->family == part->family) {
        ngx_mesh_text(t, "%s{%V} %uA\n", part->name, labels,
                      slot->values[0]);
    }
}


static void
ngx_http_mesh_circuits(ngx_mesh_text_t *t, ngx_mesh_counters_t *c)
{
    ngx_http_mesh_circuits_metric(t, ngx_mesh.table);
}


static void
ngx_http_mesh_state(ngx_mesh_text_t *t, ngx_mesh_counters_t *c)
{
    ngx_http_mesh_metric(t, "nginx_mesh_generation", "gauge",
                         "Changes of configuration, SVID or bundle applied.");
    ngx_mesh_text(t, "nginx_mesh_generation %uA\n", c->generation);

    if (ngx_mesh.svid) {
        ngx_http_mesh_metric(t, "nginx_mesh_svid_not_after_seconds", "gauge",
                             "When the SVID expires, seconds since 1970.");
        ngx_mesh_text(t, "nginx_mesh_svid_not_after_seconds %T\n",
                      ngx_mesh.svid->not_after);
    }

    ngx_http_mesh_metric(t, "nginx_mesh_lost_counts_total", "counter",
                         "Additions for which no counter was free.");
    ngx_mesh_text(t, "nginx_mesh_lost_counts_total %uA\n", c->lost);

    ngx_http_mesh_metric(t, "nginx_mesh_lost_limits_total", "counter",
                         "Requests let in for want of room for a bucket.");
    ngx_mesh_text(t, "nginx_mesh_lost_limits_total %ui\n",
                  ngx_mesh_buckets_missed());
}


#define ngx_http_mesh_by_family(name, help, family)                           \
    { name, "counter", help, family, NULL, ngx_http_mesh_value, NULL }


ngx_http_mesh_part_t  ngx_http_mesh_parts[] = {

    { NULL, NULL, NULL, 0, ngx_http_mesh_connections, NULL, NULL },

    { "nginxplus_upstream_server_requests", "counter",
      "Requests sent to an upstream server.", 0,
      NULL, ngx_http_mesh_requests, NULL },

    { "nginxplus_upstream_server_responses", "counter",
      "Responses of an upstream server by class.", 0,
      NULL, ngx_http_mesh_responses, NULL },

    { "nginxplus_upstream_server_response_latency_ms", "histogram",
      "Time from the connection to an upstream server to the last byte of its "
      "response.", 0,
      NULL, NULL, ngx_http_mesh_latency },

    ngx_http_mesh_tcp_part("connections", "counter",
                           "TCP connections made to an upstream server.", 0),
    ngx_http_mesh_tcp_part("sent", "counter",
                           "Bytes sent to an upstream server by TCP.", 1),
    ngx_http_mesh_tcp_part("received", "counter",
                           "Bytes received from an upstream server by TCP.",
                           2),
    ngx_http_mesh_tcp_part("connect_time", "gauge",
                           "Mean time to connect, handshake included, in ms.",
                           3),
    ngx_http_mesh_tcp_part("first_byte_time", "gauge",
                           "Mean time to the first byte received, in ms.", 4),
    ngx_http_mesh_tcp_part("response_time", "gauge",
                           "Mean time to the end of the connection, in ms.",
                           5),

    ngx_http_mesh_by_family("nginx_mesh_refusals_total",
                            "Connections and requests refused, by reason.",
                            NGX_MESH_FAMILY_REFUSALS),

    /* more series of the metric before it */
    { "nginx_mesh_refusals_total", NULL, NULL,
      NGX_MESH_FAMILY_POLICY_REFUSALS, NULL, ngx_http_mesh_value, NULL },

    ngx_http_mesh_by_family("nginx_mesh_handshakes_total",
                            "Mutual TLS handshakes by result.",
                            NGX_MESH_FAMILY_HANDSHAKES),
    ngx_http_mesh_by_family("nginx_mesh_preconnects_total",
                            "Connections made before they are asked for.",
                            NGX_MESH_FAMILY_PRECONNECTS),
    ngx_http_mesh_by_family("nginx_mesh_retries_total",
                            "Requests tried again, and why failed ones were "
                            "not.",
                            NGX_MESH_FAMILY_RETRIES),
    ngx_http_mesh_by_family("nginx_mesh_request_timeouts_total",
                            "Requests that took longer than they may.",
                            NGX_MESH_FAMILY_TIMEOUTS),
    ngx_http_mesh_by_family("nginx_mesh_circuit_opened_total",
                            "Times that a circuit opened, by policy.",
                            NGX_MESH_FAMILY_CIRCUITS),

    { NULL, NULL, NULL, 0, ngx_http_mesh_circuits, NULL, NULL },
    { NULL, NULL, NULL, 0, ngx_http_mesh_state, NULL, NULL }
};

ngx_uint_t  ngx_http_mesh_nparts = sizeof(ngx_http_mesh_parts)
                                   / sizeof(ngx_http_mesh_parts[0]);
