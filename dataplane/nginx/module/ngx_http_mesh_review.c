
/*
 * Requests in progress whose permission has gone: with each new table they
 * are judged as if they began now, and those that it refuses are reset at
 * both ends (contract 6.http-review).  All of them, however young: which of
 * them will be long nobody knows, and nothing looks at them later.  What only
 * says where traffic goes ends none: endpoints, declared ports, limits.
 *
 * Where nobody is refused there is nothing to do; else it is one judgement
 * for each incoming request of the worker.
 */


#include "ngx_http_mesh.h"
#include "ngx_mesh_access.h"


static void ngx_http_mesh_cut(ngx_event_t *ev);


static ngx_queue_t  ngx_http_mesh_open;      /* of this worker */


void
ngx_http_mesh_review_init(void)
{
    ngx_queue_init(&ngx_http_mesh_open);
}


/* of a request that was let in by the table of now */

void
ngx_http_mesh_review_begin(ngx_http_mesh_ctx_t *ctx)
{
    ngx_queue_insert_tail(&ngx_http_mesh_open, &ctx->open);
}


void
ngx_http_mesh_review_end(ngx_http_mesh_ctx_t *ctx)
{
    if (ctx->open.next) {
        ngx_queue_remove(&ctx->open);
        ctx->open.next = NULL;
    }

    if (ctx->cut && ctx->cut->posted) {
        ngx_delete_posted_event(ctx->cut);
    }
}


/* as ngx_http_mesh_access_incoming(): only what a policy or the mode says */

static void
ngx_http_mesh_review_judge(ngx_http_mesh_ctx_t *ctx, ngx_mesh_table_t *t,
    ngx_mesh_judgement_t *j)
{
    ngx_mesh_subject_t  subject;

    if (ctx->role == NGX_HTTP_MESH_INCOMING_PLAINTEXT
        && t->mode == NGX_MESH_STRICT)
    {
        j->reason = "plaintext";

    } else if (t->access.enforced) {
        ngx_http_mesh_subject(ctx->request, &subject);
        ngx_mesh_access_judge(&t->access, &ctx->identity, ctx->dst.port,
                              &subject, j);
    }
}


/* whoever brought the new table may be in the middle of one */

static void
ngx_http_mesh_review(ngx_http_mesh_ctx_t *ctx, ngx_mesh_table_t *t)
{
    ngx_event_t           *ev;
    ngx_http_request_t    *r;
    ngx_mesh_judgement_t   j;

    ngx_memzero(&j, sizeof(ngx_mesh_judgement_t));

    r = ctx->request;

    if (ctx->cut || r->request_complete) {
        return;
    }

    ngx_http_mesh_review_judge(ctx, t, &j);

    if (j.reason == NULL) {
        return;
    }

    ev = ngx_pcalloc(r->pool, sizeof(ngx_event_t));
    if (ev == NULL) {
        return;
    }

    ev->data = ctx;
    ev->log = r->connection->log;
    ev->handler = ngx_http_mesh_cut;

    ctx->cut = ev;

    (void) ngx_http_mesh_refuse_by(ctx, j.reason, j.policy,
                                   NGX_HTTP_FORBIDDEN);

    ngx_post_event(ev, &ngx_posted_events);
}


void
ngx_http_mesh_review_all(void)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&ngx_http_mesh_open);
         q != ngx_queue_sentinel(&ngx_http_mesh_open);
         q = ngx_queue_next(q))
    {
        ngx_http_mesh_review(ngx_queue_data(q, ngx_http_mesh_ctx_t, open),
                             ngx_mesh.table);
    }
}


/*
 * A stream of HTTP/2 is reset, any other connection: half an answer must not
 * look whole.  To nginx it looks as if the caller had gone away.  What still
 * waits for its turn has an answer.
 */

static void
ngx_http_mesh_cut(ngx_event_t *ev)
{
    ngx_http_mesh_ctx_t  *ctx = ev->data;

    ngx_connection_t     *c, *h2;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    c = r->connection;
    u = r->upstream;
    h2 = NULL;

    ngx_http_set_log_request(c->log, r);

    if (u == NULL && !r->header_sent) {
        c->write->delayed = 0;
        ngx_http_finalize_request(r, NGX_HTTP_FORBIDDEN);
        ngx_http_run_posted_requests(c);
        return;
    }

    if (!r->header_sent) {
        r->err_status = NGX_HTTP_FORBIDDEN;
    }

    if (u && u->peer.connection) {
        u->keepalive = 0;
        ngx_mesh_abort(u->peer.connection);
    }

#if (NGX_HTTP_V2)
    if (r->stream) {
        h2 = r->stream->connection->connection;
    }
#endif

    if (h2) {
        c->error = 1;

    } else {
        ngx_mesh_abort(c);

        /* what one looks at that reads a body, and one that is upgraded */

        c->read->timedout = 1;
        c->write->timedout = 1;
    }

    if (u && u->cleanup) {
        r->read_event_handler(r);

    } else {
        ngx_http_finalize_request(r, NGX_ERROR);
    }

    ngx_http_run_posted_requests(c);

    /* nginx writes its reset only with what comes next */

    if (h2) {
        ngx_post_event(h2->write, &ngx_posted_events);
    }
}
