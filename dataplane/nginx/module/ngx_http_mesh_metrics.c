
/*
 * The counters as Prometheus text (names: docs/reference/metrics.md).
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"
#include "ngx_mesh_text.h"


static void
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
    return slot->hash && (slot->family == NGX_MESH_FAMILY_OUTGOING
                          || slot->family == NGX_MESH_FAMILY_INCOMING);
}


static void
ngx_http_mesh_calls(ngx_mesh_text_t *t, ngx_mesh_counters_t *c)
{
    ngx_uint_t        i, class;
    ngx_str_t         labels;
    ngx_mesh_slot_t  *slot;

    ngx_http_mesh_metric(t, "nginxplus_upstream_server_requests", "counter",
                         "Requests sent to an upstream server.");

    for (i = 0; i < c->nslots; i++) {
        slot = &c->slots[i];

        if (ngx_http_mesh_is_call(slot)) {
            labels.data = slot->labels;
            labels.len = slot->len;

            ngx_mesh_text(t, "nginxplus_upstream_server_requests{%V} %uA\n",
                          &labels, slot->values[NGX_MESH_VALUE_REQUESTS]);
        }
    }

    ngx_http_mesh_metric(t, "nginxplus_upstream_server_responses", "counter",
                         "Responses of an upstream server by class.");

    for (i = 0; i < c->nslots; i++) {
        slot = &c->slots[i];

        if (!ngx_http_mesh_is_call(slot)) {
            continue;
        }

        labels.data = slot->labels;
        labels.len = slot->len;

        for (class = 1; class <= 5; class++) {
            ngx_mesh_text(t, "nginxplus_upstream_server_responses{%V,code="
                          "\"%uixx\"} %uA\n", &labels, class,
                          slot->values[NGX_MESH_VALUE_CLASS + class]);
        }
    }
}


static void
ngx_http_mesh_values(ngx_mesh_text_t *t, ngx_mesh_counters_t *c,
    ngx_mesh_family_e family, const char *name)
{
    ngx_uint_t        i;
    ngx_str_t         labels;
    ngx_mesh_slot_t  *slot;

    for (i = 0; i < c->nslots; i++) {
        slot = &c->slots[i];

        if (slot->hash && slot->family == family) {
            labels.data = slot->labels;
            labels.len = slot->len;

            ngx_mesh_text(t, "%s{%V} %uA\n", name, &labels, slot->values[0]);
        }
    }
}


static void
ngx_http_mesh_family(ngx_mesh_text_t *t, ngx_mesh_counters_t *c,
    ngx_mesh_family_e family, const char *name, const char *help)
{
    ngx_http_mesh_metric(t, name, "counter", help);
    ngx_http_mesh_values(t, c, family, name);
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


ngx_int_t
ngx_http_mesh_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_mesh_text_t       t;
    ngx_mesh_counters_t  *c;

    static ngx_str_t      type = ngx_string("text/plain; version=0.0.4");

    rc = ngx_http_mesh_begin(r, NGX_HTTP_GET|NGX_HTTP_HEAD);

    if (rc != NGX_OK) {
        return rc;
    }

    c = ngx_mesh.counters;

    if (ngx_mesh.count) {
        ngx_mesh.count();
    }

    ngx_mesh_text_init(&t, r->pool);

    ngx_http_mesh_connections(&t, c);
    ngx_http_mesh_calls(&t, c);
    ngx_http_mesh_latency(&t, c);
    ngx_http_mesh_tcp(&t, c);
    ngx_http_mesh_family(&t, c, NGX_MESH_FAMILY_REFUSALS,
                         "nginx_mesh_refusals_total",
                         "Connections and requests refused, by reason.");
    ngx_http_mesh_values(&t, c, NGX_MESH_FAMILY_POLICY_REFUSALS,
                         "nginx_mesh_refusals_total");
    ngx_http_mesh_family(&t, c, NGX_MESH_FAMILY_HANDSHAKES,
                         "nginx_mesh_handshakes_total",
                         "Mutual TLS handshakes by result.");
    ngx_http_mesh_family(&t, c, NGX_MESH_FAMILY_RETRIES,
                         "nginx_mesh_retries_total",
                         "Requests tried again, and why failed ones were not.");
    ngx_http_mesh_family(&t, c, NGX_MESH_FAMILY_TIMEOUTS,
                         "nginx_mesh_request_timeouts_total",
                         "Requests that took longer than they may.");
    ngx_http_mesh_family(&t, c, NGX_MESH_FAMILY_CIRCUITS,
                         "nginx_mesh_circuit_opened_total",
                         "Times that a circuit opened, by policy.");
    ngx_http_mesh_circuits_metric(&t, ngx_mesh.table);
    ngx_http_mesh_state(&t, c);

    return ngx_http_mesh_send(r, NGX_HTTP_OK, &type, &t);
}
