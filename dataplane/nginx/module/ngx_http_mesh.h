
/*
 * The http part of the mesh module.
 */


#ifndef _NGX_HTTP_MESH_H_INCLUDED_
#define _NGX_HTTP_MESH_H_INCLUDED_


#include "ngx_mesh.h"
#include "ngx_mesh_identity.h"
#include "ngx_mesh_peer.h"
#include "ngx_mesh_split.h"
#include "ngx_mesh_table.h"
#include "ngx_mesh_text.h"
#include <ngx_http.h>


/* how many endpoints one request may be tried on if it asks for nothing, and
   all attempts with 10 retries and one pooled connection that died */
#define NGX_HTTP_MESH_TRIES     3
#define NGX_HTTP_MESH_ATTEMPTS  12


typedef enum {
    NGX_HTTP_MESH_NONE = 0,
    NGX_HTTP_MESH_OUTGOING,                  /* 8889, 8892 */
    NGX_HTTP_MESH_INCOMING,                  /* 8888, 8891 */
    NGX_HTTP_MESH_INCOMING_PLAINTEXT         /* 8890, 8893 */
} ngx_http_mesh_role_e;


typedef struct {
    ngx_uint_t                role;
    ngx_uint_t                protocol;      /* NGX_MESH_HTTP, _GRPC */
} ngx_http_mesh_loc_conf_t;


/* a header that is there more than once, its values joined */

typedef struct ngx_http_mesh_joined_s  ngx_http_mesh_joined_t;

struct ngx_http_mesh_joined_s {
    ngx_str_t                 name;
    ngx_str_t                 value;
    ngx_http_mesh_joined_t   *next;
};


typedef struct ngx_http_mesh_chunked_s  ngx_http_mesh_chunked_t;


/* one request's; it outlives internal redirects */

typedef struct {
    ngx_http_request_t       *request;
    ngx_http_mesh_role_e      role;
    ngx_mesh_protocol_e       protocol;      /* towards the endpoint, too */
    ngx_mesh_direction_e      direction;
    ngx_mesh_addr_t           dst;           /* original destination */

    ngx_mesh_table_t         *table;         /* held */
    ngx_mesh_upstream_t      *upstream;      /* who answers */
    ngx_mesh_upstream_t      *terms;         /* whose time-out, retries */
    ngx_mesh_direction_t     *way;           /* NULL: no policy on it */
    ngx_mesh_upstream_t       single;        /* of "one" */
    ngx_mesh_endpoint_t       one;           /* dst itself */

    ngx_mesh_endpoint_t      *endpoint;      /* of the next or last attempt */
    ngx_uint_t                ntried;
    ngx_uint_t                nheld;

    ngx_mesh_peer_t          *peer;          /* while an attempt lasts */
    ngx_msec_t                started;
    ngx_msec_t                waits;         /* by a rate limit, until then */

    ngx_str_t                 identity;      /* the other side's, proven */
    const char               *tls_version;
    const char               *tls_cipher;
    const char               *refusal;       /* id of the reason */
    off_t                     received;      /* bytes of request body */
    ngx_http_mesh_chunked_t  *chunked;       /* while its framing is read */
    ngx_http_mesh_joined_t   *joined;        /* that matches asked for */

    ngx_queue_t               open;          /* while it may be judged again */
    ngx_event_t              *cut;           /* it was, and is refused */

    ngx_event_t              *timer;         /* of the whole request */
    ngx_http_upstream_conf_t *conf;          /* our own, if it is retried */
    void                    (*finalize)(ngx_http_request_t *r,
                                        ngx_int_t rc);
    ngx_int_t               (*process_header)(ngx_http_request_t *r);
    ngx_int_t               (*reinit_request)(ngx_http_request_t *r);
    u_char                   *head;          /* of the answer, received */
    ngx_uint_t                retries;       /* that are left */
    ngx_uint_t                retried;

    unsigned                  chosen:1;      /* endpoint is not yet used */
    unsigned                  fresh:1;       /* leave the pool alone */
    unsigned                  unused:1;      /* pooled, but never asked */
    unsigned                  timedout:1;    /* the whole request */

    /* from here on not zeroed */

    ngx_mesh_endpoint_t      *tried[NGX_HTTP_MESH_ATTEMPTS];
    ngx_mesh_peer_t          *held[NGX_HTTP_MESH_ATTEMPTS];
} ngx_http_mesh_ctx_t;


extern ngx_module_t  ngx_http_mesh_module;


ngx_http_mesh_ctx_t *ngx_http_mesh_ctx(ngx_http_request_t *r);

/* ngx_http_mesh_access.c */
ngx_int_t ngx_http_mesh_access_handler(ngx_http_request_t *r);

/* ngx_http_mesh_outgoing.c */
ngx_int_t ngx_http_mesh_outgoing(ngx_http_mesh_ctx_t *ctx);
ngx_int_t ngx_http_mesh_single(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_limit.c */
ngx_int_t ngx_http_mesh_limit(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_match.c */
void ngx_http_mesh_subject(ngx_http_request_t *r, ngx_mesh_subject_t *subject);
ngx_int_t ngx_http_mesh_match(ngx_http_request_t *r, ngx_mesh_match_t *m);

/* ngx_http_mesh_circuit.c */
void ngx_http_mesh_circuit_ended(ngx_http_mesh_ctx_t *ctx);
void ngx_http_mesh_circuits_status(ngx_mesh_text_t *t,
    ngx_mesh_table_t *table);
void ngx_http_mesh_circuits_metric(ngx_mesh_text_t *t,
    ngx_mesh_table_t *table);

/* ngx_http_mesh_judge.c */
ngx_int_t ngx_http_mesh_judge(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_review.c */
void ngx_http_mesh_review_init(void);
void ngx_http_mesh_review_begin(ngx_http_mesh_ctx_t *ctx);
void ngx_http_mesh_review_end(ngx_http_mesh_ctx_t *ctx);
void ngx_http_mesh_review_all(void);

/* ngx_http_mesh_refuse.c: "policy" is to blame, or NULL */
ngx_int_t ngx_http_mesh_refuse_by(ngx_http_mesh_ctx_t *ctx, const char *reason,
    ngx_mesh_policy_t *policy, ngx_int_t status);
ngx_int_t ngx_http_mesh_refuse(ngx_http_mesh_ctx_t *ctx, const char *reason,
    ngx_int_t status);

/* ngx_http_mesh_syntax.c */
ngx_int_t ngx_http_mesh_check_syntax(ngx_http_request_t *r,
    const char **reason);
void ngx_http_mesh_authority(ngx_http_request_t *r, ngx_str_t *authority);

/* ngx_http_mesh_log.c */
ngx_int_t ngx_http_mesh_log_handler(ngx_http_request_t *r);

/* ngx_http_mesh_variables.c */
ngx_int_t ngx_http_mesh_add_variables(ngx_conf_t *cf);

/* ngx_http_mesh_balancer.c */
char *ngx_http_mesh_endpoints(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_mesh_choose(ngx_http_mesh_ctx_t *ctx);
ngx_uint_t ngx_http_mesh_is_own_pod(ngx_http_mesh_ctx_t *ctx,
    ngx_mesh_endpoint_t *endpoint);

/* ngx_http_mesh_request.c */
ngx_int_t ngx_http_mesh_request_begin(ngx_http_mesh_ctx_t *ctx);
void ngx_http_mesh_request_end(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_retry.c */
ngx_int_t ngx_http_mesh_retry_init(ngx_http_mesh_ctx_t *ctx);
ngx_uint_t ngx_http_mesh_retry_is_pool_death(ngx_peer_connection_t *pc);
void ngx_http_mesh_retry_failed(ngx_http_mesh_ctx_t *ctx);
ngx_int_t ngx_http_mesh_retry_choose(ngx_http_mesh_ctx_t *ctx);
void ngx_http_mesh_retry_ended(ngx_http_mesh_ctx_t *ctx);
void ngx_http_mesh_retry_no_answer(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_told.c */
ngx_uint_t ngx_http_mesh_told(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_pool.c */
ngx_connection_t *ngx_http_mesh_pool_get(ngx_mesh_peer_t *peer,
    ngx_mesh_protocol_e protocol, ngx_uint_t *unused);
ngx_uint_t ngx_http_mesh_pool_count(ngx_mesh_peer_t *peer,
    ngx_mesh_protocol_e protocol);
void ngx_http_mesh_pool_close(ngx_connection_t *c);
void ngx_http_mesh_pool_adopt(ngx_peer_connection_t *pc);
ngx_int_t ngx_http_mesh_pool_put(ngx_mesh_peer_t *peer,
    ngx_mesh_protocol_e protocol, ngx_connection_t *c, ngx_msec_t timeout,
    ngx_uint_t unused);
void ngx_http_mesh_pool_sweep(void);
void ngx_http_mesh_pool_init(void);

/* ngx_http_mesh_warm.c */
void ngx_http_mesh_warm_init(ngx_cycle_t *cycle);
void ngx_http_mesh_warm_learn(ngx_mesh_protocol_e protocol, ngx_ssl_t *ssl);
void ngx_http_mesh_warm(ngx_mesh_peer_t *peer, ngx_mesh_protocol_e protocol,
    ngx_uint_t n, ngx_uint_t hold);

/* ngx_http_mesh_warm_table.c */
void ngx_http_mesh_warm_table(ngx_mesh_table_t *t, ngx_mesh_table_t *old);

/* ngx_http_mesh_tls.c */
ngx_int_t ngx_http_mesh_tls_servers(ngx_conf_t *cf);
ngx_int_t ngx_http_mesh_tls_call(ngx_connection_t *c, ngx_mesh_peer_t *peer,
    ngx_mesh_protocol_e protocol);
ngx_int_t ngx_http_mesh_set_session(ngx_peer_connection_t *pc, void *data);
void ngx_http_mesh_save_session(ngx_peer_connection_t *pc, void *data);

/* ngx_http_mesh_records.c */
void ngx_http_mesh_records_init(void);
void ngx_http_mesh_records_hello(ngx_connection_t *c);
ngx_mesh_tls_t *ngx_http_mesh_records_peer(ngx_connection_t *c);

/* ngx_http_mesh_grpc.c */
void ngx_http_mesh_grpc_init(void);
void ngx_http_mesh_grpc_watch(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_h2.c */
void ngx_http_mesh_h2_init(void);
void ngx_http_mesh_last(ngx_http_request_t *r);
void ngx_http_mesh_h2_ended(ngx_http_request_t *r);

/* ngx_http_mesh_cork.c */
void ngx_http_mesh_cork_init(ngx_cycle_t *cycle);
void ngx_http_mesh_cork(ngx_connection_t *c);

/* ngx_http_mesh_body.c */
void ngx_http_mesh_body_init(void);

/* ngx_http_mesh_chunked.c */
ngx_int_t ngx_http_mesh_chunked_begin(ngx_http_mesh_ctx_t *ctx);
void ngx_http_mesh_chunked_end(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_interim.c */
void ngx_http_mesh_interim_watch(ngx_http_mesh_ctx_t *ctx);

/* ngx_http_mesh_control.c, ngx_http_mesh_metrics.c */
char *ngx_http_mesh_control(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_mesh_begin(ngx_http_request_t *r, ngx_uint_t methods);
ngx_int_t ngx_http_mesh_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_mesh_text_t *text);
ngx_int_t ngx_http_mesh_metrics_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_MESH_H_INCLUDED_ */
