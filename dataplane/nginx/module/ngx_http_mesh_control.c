
/*
 * The control interface (docs/reference/nginx-state.md):
 *
 *     mesh_control apply;     POST
 *     mesh_control status;    GET
 *     mesh_control drain;     POST
 *     mesh_control ready;     GET
 *     mesh_control metrics;   GET
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"
#include "ngx_mesh_text.h"


static ngx_int_t ngx_http_mesh_apply_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_mesh_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_mesh_drain_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_mesh_ready_handler(ngx_http_request_t *r);


static const char  *ngx_http_mesh_modes[] = { "off", "permissive", "strict" };


char *
ngx_http_mesh_control(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    static const struct {
        ngx_str_t              name;
        ngx_http_handler_pt    handler;
    } handlers[] = {
        { ngx_string("apply"), ngx_http_mesh_apply_handler },
        { ngx_string("status"), ngx_http_mesh_status_handler },
        { ngx_string("drain"), ngx_http_mesh_drain_handler },
        { ngx_string("ready"), ngx_http_mesh_ready_handler },
        { ngx_string("metrics"), ngx_http_mesh_metrics_handler }
    };

    value = cf->args->elts;
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {

        if (handlers[i].name.len == value[1].len
            && ngx_memcmp(handlers[i].name.data, value[1].data, value[1].len)
               == 0)
        {
            clcf->handler = handlers[i].handler;
            return NGX_CONF_OK;
        }
    }

    return "takes apply, status, drain, ready or metrics";
}


/* a method other than the one: 405; the body, if any, is thrown away */

ngx_int_t
ngx_http_mesh_begin(ngx_http_request_t *r, ngx_uint_t methods)
{
    if (!(r->method & methods)) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    ngx_mesh_refresh(r->connection->log);

    return ngx_http_discard_request_body(r);
}


ngx_int_t
ngx_http_mesh_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_mesh_text_t *text)
{
    ngx_int_t  rc;

    if (ngx_mesh_text_end(text) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = text->size;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, text->out);
}


static ngx_int_t
ngx_http_mesh_send_line(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *line)
{
    ngx_mesh_text_t   text;

    static ngx_str_t  type = ngx_string("text/plain");

    ngx_mesh_text_init(&text, r->pool);
    ngx_mesh_text(&text, "%V", line);

    return ngx_http_mesh_send(r, status, &type, &text);
}


static void
ngx_http_mesh_status_endpoint(ngx_mesh_text_t *t, ngx_mesh_endpoint_t *e,
    ngx_uint_t first)
{
    u_char  ip[INET6_ADDRSTRLEN], *last;

    last = ngx_mesh_addr_ip_text(ip, ip + sizeof(ip), &e->addr);

    ngx_mesh_text(t, "%s{\"address\":\"%*s\",\"port\":%ui,",
                  first ? "" : ",", (size_t) (last - ip), ip,
                  (ngx_uint_t) e->addr.port);

    if (e->identity.len) {
        ngx_mesh_text(t, "\"identity\":\"%V\",", &e->identity);

    } else {
        ngx_mesh_text(t, "\"identity\":null,");
    }

    if (e->pod.len) {
        ngx_mesh_text(t, "\"pod\":\"%V\",", &e->pod);

    } else {
        ngx_mesh_text(t, "\"pod\":null,");
    }

    ngx_mesh_text(t, "\"active\":%ui,\"idle\":%ui,\"failing\":%s}",
                  e->peer->active, e->peer->nidle,
                  ngx_mesh_peer_is_failing(e->peer) ? "true" : "false");
}


/* endpoints that were called lately, or all of them would fill megabytes */

static void
ngx_http_mesh_status_endpoints(ngx_mesh_text_t *t, ngx_mesh_table_t *table)
{
    ngx_uint_t            i, n;
    ngx_mesh_endpoint_t  *e;

    ngx_mesh_text(t, "\"endpoints\":[");

    for (i = 0, n = 0; table && i < table->nendpoints; i++) {
        e = &table->endpoints[i];

        if (e->peer->active || e->peer->nidle || e->peer->failing) {
            ngx_http_mesh_status_endpoint(t, e, n == 0);
            n++;
        }
    }

    ngx_mesh_text(t, "]");
}


/* what of the document is left unjudged, in the words of a refusal */

static void
ngx_http_mesh_status_wrong(ngx_mesh_text_t *t, ngx_mesh_table_t *table)
{
    u_char      *p, buf[6 * NGX_MESH_ERROR_MAX];
    ngx_uint_t   i;

    ngx_mesh_text(t, ",\"unsearchable\":[");

    for (i = 0; table && i < table->nwrong; i++) {
        p = (u_char *) ngx_escape_json(buf, table->wrong[i].data,
                                       table->wrong[i].len);
        ngx_mesh_text(t, "%s\"%*s\"", i ? "," : "", (size_t) (p - buf), buf);
    }

    ngx_mesh_text(t, "]");
}


static ngx_int_t
ngx_http_mesh_send_status(ngx_http_request_t *r)
{
    const char        *reason;
    ngx_mesh_text_t    t;
    ngx_mesh_svid_t   *svid;
    ngx_mesh_table_t  *table;

    static ngx_str_t   type = ngx_string("application/json");

    table = ngx_mesh.table;
    svid = ngx_mesh.svid;

    ngx_mesh_text_init(&t, r->pool);

    if (table) {
        ngx_mesh_text(&t, "{\"revision\":\"%V\",\"mode\":\"%s\",",
                      &table->revision, ngx_http_mesh_modes[table->mode]);

    } else {
        ngx_mesh_text(&t, "{\"revision\":null,\"mode\":null,");
    }

    ngx_mesh_text(&t, "\"generation\":%uA,\"ready\":%s,\"draining\":%s,"
                  "\"transparent\":%s,\"pid\":%P,",
                  ngx_mesh.counters->generation,
                  ngx_mesh_ready(&reason) ? "true" : "false",
                  ngx_mesh_draining() ? "true" : "false",
                  table && table->transparent ? "true" : "false", ngx_pid);

    if (svid) {
        ngx_mesh_text(&t, "\"svid_spiffe_id\":\"%*s\",\"svid_serial\":"
                      "\"%*s\",\"svid_not_after\":%T,",
                      svid->spiffe_id_len, svid->spiffe_id,
                      svid->serial_len, svid->serial, svid->not_after);

    } else {
        ngx_mesh_text(&t, "\"svid_spiffe_id\":null,\"svid_serial\":null,"
                      "\"svid_not_after\":null,");
    }

    if (ngx_mesh.bundle) {
        ngx_mesh_text(&t, "\"bundle_digest\":\"%*s\",", (size_t) 64,
                      ngx_mesh.bundle->digest);

    } else {
        ngx_mesh_text(&t, "\"bundle_digest\":null,");
    }

    ngx_mesh_text(&t, "\"known_chains\":%ui,", ngx_mesh.known_chains);

    ngx_http_mesh_status_endpoints(&t, table);
    ngx_http_mesh_circuits_status(&t, table);
    ngx_http_mesh_status_wrong(&t, table);
    ngx_mesh_text(&t, "}\n");

    return ngx_http_mesh_send(r, NGX_HTTP_OK, &type, &t);
}


static ngx_int_t
ngx_http_mesh_apply_handler(ngx_http_request_t *r)
{
    u_char     buf[3 * NGX_MESH_ERROR_MAX];
    ngx_int_t  rc;
    ngx_str_t  errors;

    rc = ngx_http_mesh_begin(r, NGX_HTTP_POST);

    if (rc != NGX_OK) {
        return rc;
    }

    errors.data = buf;

    if (ngx_mesh_apply(&errors, sizeof(buf), r->connection->log) != NGX_OK) {
        return ngx_http_mesh_send_line(r, 422, &errors);
    }

    return ngx_http_mesh_send_status(r);
}


static ngx_int_t
ngx_http_mesh_status_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_mesh_begin(r, NGX_HTTP_GET|NGX_HTTP_HEAD);

    return rc == NGX_OK ? ngx_http_mesh_send_status(r) : rc;
}


static ngx_int_t
ngx_http_mesh_drain_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_mesh_begin(r, NGX_HTTP_POST);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_mesh_drain_start(r->connection->log);

    return ngx_http_mesh_send_status(r);
}


static ngx_int_t
ngx_http_mesh_ready_handler(ngx_http_request_t *r)
{
    u_char       buf[128];
    ngx_int_t    rc;
    ngx_str_t    line;
    ngx_uint_t   ready;
    const char  *reason;

    rc = ngx_http_mesh_begin(r, NGX_HTTP_GET|NGX_HTTP_HEAD);

    if (rc != NGX_OK) {
        return rc;
    }

    reason = "ready";
    ready = ngx_mesh_ready(&reason);

    line.data = buf;
    line.len = ngx_snprintf(buf, sizeof(buf), "%s\n", reason) - buf;

    return ngx_http_mesh_send_line(r, ready ? NGX_HTTP_OK
                                            : NGX_HTTP_SERVICE_UNAVAILABLE,
                                   &line);
}
