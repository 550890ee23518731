
/*
 * HTTP/2 connections of callers: how one is ended without harm to the
 * requests on it, and how one is recognised that resets its streams as fast
 * as it opens them (CVE-2023-44487).
 */


#include "ngx_http_mesh.h"


/* resets beyond those that pass with time and with requests that end well */

#define NGX_HTTP_MESH_RESETS_MAX     1000
#define NGX_HTTP_MESH_RESETS_PASS    50      /* per second */


typedef struct {
    ngx_uint_t                resets;
    time_t                    updated;
} ngx_http_mesh_resets_t;


static ngx_int_t ngx_http_mesh_h2_header_filter(ngx_http_request_t *r);
static void ngx_http_mesh_resets_cleanup(void *data);


static ngx_http_output_header_filter_pt  ngx_http_mesh_next_header_filter;


void
ngx_http_mesh_h2_init(void)
{
    ngx_http_mesh_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_mesh_h2_header_filter;
}


/* a response, or its beginning, often comes with its headers */

static ngx_int_t
ngx_http_mesh_h2_header_filter(ngx_http_request_t *r)
{
#if (NGX_HTTP_V2)
    if (r->stream) {
        ngx_http_mesh_cork(r->stream->connection->connection);
    }
#endif

    return ngx_http_mesh_next_header_filter(r);
}


/*
 * The connection takes no further request after this one.  nginx has no call
 * for that on HTTP/2: it looks at the number of requests when one begins, so
 * the next is served, too, and told that it was the last.
 */

void
ngx_http_mesh_last(ngx_http_request_t *r)
{
    r->keepalive = 0;

#if (NGX_HTTP_V2)
    if (r->stream) {
        r->stream->connection->connection->requests = NGX_MAX_INT32_VALUE;
    }
#endif
}


#if (NGX_HTTP_V2)

static void
ngx_http_mesh_resets_cleanup(void *data)
{
    /* void */
}


static ngx_http_mesh_resets_t *
ngx_http_mesh_resets(ngx_connection_t *c, ngx_uint_t create)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_mesh_resets_t  *resets;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_mesh_resets_cleanup) {
            return cln->data;
        }
    }

    if (!create) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_http_mesh_resets_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_mesh_resets_cleanup;

    resets = cln->data;
    resets->resets = 0;
    resets->updated = ngx_time();

    return resets;
}

#endif


/* of each request, when it ends */

void
ngx_http_mesh_h2_ended(ngx_http_request_t *r)
{
#if (NGX_HTTP_V2)

    time_t                   passed;
    ngx_connection_t        *c;
    ngx_http_mesh_resets_t  *resets;

    if (r->stream == NULL) {
        return;
    }

    c = r->stream->connection->connection;
    resets = ngx_http_mesh_resets(c, r->connection->error);

    if (resets == NULL) {
        return;
    }

    passed = (ngx_time() - resets->updated) * NGX_HTTP_MESH_RESETS_PASS;

    resets->updated = ngx_time();
    resets->resets -= ngx_min(resets->resets, (ngx_uint_t) passed);

    if (!r->connection->error) {
        resets->resets -= ngx_min(resets->resets, 1);
        return;
    }

    if (++resets->resets == NGX_HTTP_MESH_RESETS_MAX) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0, "mesh: too many streams were "
                      "reset: the connection takes no more");
    }

    if (resets->resets >= NGX_HTTP_MESH_RESETS_MAX) {
        ngx_http_mesh_last(r);
    }

#endif
}
