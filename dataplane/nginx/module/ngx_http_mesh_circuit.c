
/*
 * Circuits and requests: which of these failed, and what the control
 * interface and the metrics say of those.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_counters.h"


/* the application's own word for a call that failed, where it said one */

static ngx_str_t *
ngx_http_mesh_grpc_status_of(ngx_list_t *list)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("grpc-status");

    for (part = &list->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && h[i].key.len == name.len
                && ngx_strncasecmp(h[i].key.data, name.data, name.len) == 0)
            {
                return &h[i].value;
            }
        }
    }

    return NULL;
}


/*
 * UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and
 * DATA_LOSS are the server's faults; the others are answers.
 */

static ngx_uint_t
ngx_http_mesh_is_grpc_error(ngx_http_request_t *r)
{
    ngx_str_t  *status;

    status = ngx_http_mesh_grpc_status_of(&r->headers_out.trailers);

    if (status == NULL) {
        status = ngx_http_mesh_grpc_status_of(&r->headers_out.headers);
    }

    if (status == NULL) {
        return 0;
    }

    switch (ngx_atoi(status->data, status->len)) {

    case 2:
    case 4:
    case 12:
    case 13:
    case 14:
    case 15:
        return 1;

    default:
        return 0;
    }
}


/* what the caller saw, after all attempts */

static ngx_uint_t
ngx_http_mesh_is_error(ngx_http_mesh_ctx_t *ctx)
{
    ngx_uint_t           status;
    ngx_http_request_t  *r;

    r = ctx->request;

    /* also one whose caller took all the time to send it */

    if (ctx->refusal || r->upstream == NULL) {
        return 0;
    }

    if (ctx->timedout) {
        return 1;
    }

    status = r->err_status ? r->err_status : r->headers_out.status;

    return (status >= NGX_HTTP_INTERNAL_SERVER_ERROR
            || (ctx->protocol == NGX_MESH_GRPC
                && ngx_http_mesh_is_grpc_error(r)))
           && !ngx_http_mesh_told(ctx);
}


void
ngx_http_mesh_circuit_ended(ngx_http_mesh_ctx_t *ctx)
{
    if (ngx_http_mesh_is_error(ctx)) {
        ngx_mesh_directed_error(ctx->way);
    }
}


/* when that will be, in seconds since 1970, not too early */

static time_t
ngx_http_mesh_circuit_until(ngx_msec_t closes)
{
    ngx_time_t  *now;

    now = ngx_timeofday();

    return now->sec + (time_t) ((now->msec + closes + 999) / 1000);
}


void
ngx_http_mesh_circuits_status(ngx_mesh_text_t *t, ngx_mesh_table_t *table)
{
    ngx_uint_t                i;
    ngx_mesh_breaker_t       *b;
    ngx_mesh_circuit_view_t   v;

    ngx_mesh_text(t, ",\"circuits\":[");

    for (i = 0; table && i < table->nbreakers; i++) {
        b = &table->breakers[i];

        ngx_mesh_circuit_view(&b->guard, &v);

        ngx_mesh_text(t, "%s{\"policy\":\"%V\",\"open\":%s,\"errors\":%ui,",
                      i ? "," : "", &b->policy->name,
                      v.closes ? "true" : "false", v.errors);

        if (v.closes) {
            ngx_mesh_text(t, "\"until\":%T}",
                          ngx_http_mesh_circuit_until(v.closes));

        } else {
            ngx_mesh_text(t, "\"until\":null}");
        }
    }

    ngx_mesh_text(t, "]");
}


void
ngx_http_mesh_circuits_metric(ngx_mesh_text_t *t, ngx_mesh_table_t *table)
{
    ngx_uint_t           i;
    ngx_mesh_breaker_t  *b;

    ngx_mesh_text(t, "# HELP nginx_mesh_circuit_open Whether a circuit is "
                  "open: 1, or closed: 0, by policy.\n"
                  "# TYPE nginx_mesh_circuit_open gauge\n");

    for (i = 0; table && i < table->nbreakers; i++) {
        b = &table->breakers[i];

        /* what is asked for is in use, also when it never opens */

        (void) ngx_mesh_slot_cached(b->guard.counter_slot,
                                    b->guard.counter_hash);

        ngx_mesh_text(t, "nginx_mesh_circuit_open{policy=\"%V\"} %ui\n",
                      &b->policy->name, ngx_mesh_circuit_is_open(&b->guard));
    }

    ngx_mesh_text(t, "# HELP nginx_mesh_lost_circuits Circuits that never "
                  "open for want of room.\n"
                  "# TYPE nginx_mesh_lost_circuits gauge\n"
                  "nginx_mesh_lost_circuits %ui\n",
                  table ? ngx_mesh_circuits_lost(table, NULL) : 0);
}
