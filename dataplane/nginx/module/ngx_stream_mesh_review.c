
/*
 * Open connections whose permission has gone: with each new table they are
 * judged as if they began now, and those that it refuses are reset
 * (contract 6.tcp-review).  What only says where traffic goes closes none:
 * endpoints, Services, declared ports, circuits.
 *
 * Where nobody is refused there is nothing to do; else it is one look-up for
 * each connection of the worker.
 */


#include "ngx_stream_mesh.h"
#include "ngx_mesh_access.h"


static void
ngx_stream_mesh_review_incoming(ngx_stream_mesh_ctx_t *ctx,
    ngx_mesh_table_t *t, ngx_mesh_judgement_t *j)
{
    ngx_str_t  nobody = ngx_null_string;

    if (ctx->verdict.target == NGX_MESH_TO_TCP_MTLS) {

        if (t->access.enforced) {
            ngx_mesh_access_judge(&t->access,
                                  ctx->caller ? &ctx->caller->identity
                                              : &nobody,
                                  ctx->dst.port, NULL, j);
        }

    } else if (t->mode == NGX_MESH_STRICT) {
        j->reason = "plaintext";

    } else if (t->access.enforced) {
        j->reason = "access_plaintext";
    }
}


/* what stays inside the pod is nobody's business */

static void
ngx_stream_mesh_review_outgoing(ngx_stream_mesh_ctx_t *ctx,
    ngx_mesh_table_t *t, ngx_mesh_judgement_t *j)
{
    if (t->mode == NGX_MESH_STRICT
        && ctx->verdict.target == NGX_MESH_TO_TCP_PLAINTEXT
        && !ngx_mesh_addr_same_host(&ctx->peer->addr,
                                    ctx->connection->sockaddr))
    {
        j->reason = ngx_mesh_table_find(t, &ctx->dst) ? "plaintext_endpoint"
                                                      : "unknown_destination";
    }
}


/*
 * nginx's own sessions are ended by their handlers alone, and whoever brought
 * the new table may be in the middle of one: the reset comes right after.
 */

static void
ngx_stream_mesh_cut(ngx_stream_mesh_ctx_t *ctx, ngx_mesh_judgement_t *j)
{
    ngx_connection_t  *c;

    c = ctx->connection;

    ngx_stream_mesh_refuse_by(ctx, j->reason, j->policy);

    ngx_mesh_abort(c);
    ngx_mesh_abort(ctx->session->upstream->peer.connection);

    c->close = 1;
    ngx_post_event(c->read, &ngx_posted_events);
}


void
ngx_stream_mesh_review(ngx_stream_mesh_ctx_t *ctx)
{
    ngx_mesh_table_t      *t;
    ngx_mesh_judgement_t   j;

    t = ngx_mesh.table;

    if (ctx->refused.len || t->transparent) {
        return;
    }

    ngx_memzero(&j, sizeof(ngx_mesh_judgement_t));

    if (ctx->direction == NGX_MESH_INCOMING) {
        ngx_stream_mesh_review_incoming(ctx, t, &j);

    } else {
        ngx_stream_mesh_review_outgoing(ctx, t, &j);
    }

    if (j.reason) {
        ngx_stream_mesh_cut(ctx, &j);
    }
}


void
ngx_stream_mesh_review_all(void)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&ngx_stream_mesh_connected);
         q != ngx_queue_sentinel(&ngx_stream_mesh_connected);
         q = ngx_queue_next(q))
    {
        ngx_stream_mesh_review(ngx_queue_data(q, ngx_stream_mesh_ctx_t,
                                              queue));
    }
}
