
/*
 * The stream part of the mesh module.
 */


#ifndef _NGX_STREAM_MESH_H_INCLUDED_
#define _NGX_STREAM_MESH_H_INCLUDED_


#include "ngx_mesh.h"
#include "ngx_mesh_channel.h"
#include "ngx_mesh_counters.h"
#include "ngx_mesh_identity.h"
#include "ngx_mesh_peer.h"
#include "ngx_mesh_split.h"
#include "ngx_mesh_table.h"
#include <ngx_stream.h>


/* how many endpoints one connection may be tried on */
#define NGX_STREAM_MESH_TRIES  3

#define NGX_STREAM_MESH_CLIENT    0
#define NGX_STREAM_MESH_UPSTREAM  1

/*
 * One redirected connection's, in its pool.  "pass" ends nginx's session and
 * begins another one; this lives on.
 */

typedef struct {
    ngx_connection_t         *connection;
    ngx_stream_session_t     *session;       /* that of now */
    ngx_mesh_direction_e      direction;
    ngx_mesh_addr_t           dst;           /* original destination */
    ngx_mesh_verdict_t        verdict;
    ngx_str_t                 refused;       /* id of the reason */
    ngx_uint_t                status;        /* that http would answer */
    ngx_event_t               silence;       /* ends the look at the bytes */

    ngx_mesh_table_t         *table;         /* held until connected */
    ngx_mesh_upstream_t      *upstream;      /* who answers */
    ngx_mesh_direction_t     *way;           /* NULL: no policy on it */
    ngx_mesh_upstream_t       single;        /* of "one" */
    ngx_mesh_endpoint_t       one;           /* dst itself */

    ngx_mesh_endpoint_t      *endpoint;      /* of the next or last attempt */
    ngx_mesh_endpoint_t      *tried[NGX_STREAM_MESH_TRIES];
    ngx_mesh_peer_t          *held[NGX_STREAM_MESH_TRIES];
    ngx_uint_t                ntried;
    ngx_uint_t                nheld;

    ngx_mesh_peer_t          *peer;          /* while it has the connection */
    ngx_msec_t                started;       /* of the attempt */
    ngx_msec_t                asked;         /* connected, or first byte out */

    /* of the client, of the upstream */

    ngx_recv_pt                 recv[2];     /* nginx's own */
    ngx_send_chain_pt           send_chain[2];
    ngx_event_handler_pt        handler[2];
    ngx_mesh_channel_t         *records[2];  /* NULL: no TLS, or OpenSSL's */
    u_char                     *buffer[2];   /* while bytes are in it */

    ngx_mesh_tls_t           *caller;        /* what its handshake proved */
    ngx_event_t               begin;         /* of the relay */

    ngx_queue_t               queue;         /* of those connected */
    ngx_uint_t                slot;
    uint64_t                  slot_hash;
    off_t                     sent;          /* what is counted already */
    off_t                     received;

    unsigned                  tls:1;         /* endpoints with an identity */
    unsigned                  chosen:1;      /* endpoint is not yet used */
    unsigned                  connected:1;
    unsigned                  answered:1;    /* a byte came from upstream */
    unsigned                  spoken:1;      /* a byte came from the client */
    unsigned                  broken:1;      /* the client is gone */
} ngx_stream_mesh_ctx_t;


extern ngx_module_t  ngx_stream_mesh_module;
extern ngx_queue_t   ngx_stream_mesh_connected;   /* of this worker */


/* ngx_stream_mesh_module.c */
ngx_stream_mesh_ctx_t *ngx_stream_mesh_ctx(ngx_stream_session_t *s);
void ngx_stream_mesh_refuse_by(ngx_stream_mesh_ctx_t *ctx, const char *reason,
    ngx_mesh_policy_t *policy);
void ngx_stream_mesh_refuse(ngx_stream_mesh_ctx_t *ctx, const char *reason);
void ngx_stream_mesh_decided(ngx_stream_mesh_ctx_t *ctx);

/* ngx_stream_mesh_variables.c */
ngx_int_t ngx_stream_mesh_add_variables(ngx_conf_t *cf);

/* ngx_stream_mesh_peek.c */
ngx_int_t ngx_stream_mesh_peek(ngx_stream_mesh_ctx_t *ctx);

/* ngx_stream_mesh_choose.c */
void ngx_stream_mesh_choose_outgoing(ngx_stream_mesh_ctx_t *ctx);
void ngx_stream_mesh_failed(ngx_stream_mesh_ctx_t *ctx);
ngx_int_t ngx_stream_mesh_single(ngx_stream_mesh_ctx_t *ctx);
ngx_int_t ngx_stream_mesh_choose(ngx_stream_mesh_ctx_t *ctx);
ngx_mesh_peer_t *ngx_stream_mesh_hold_peer(ngx_stream_mesh_ctx_t *ctx);

/* ngx_stream_mesh_balancer.c */
char *ngx_stream_mesh_endpoints(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_stream_mesh_relay.c */
void ngx_stream_mesh_relay_client(ngx_stream_mesh_ctx_t *ctx);
void ngx_stream_mesh_relay_upstream(ngx_stream_mesh_ctx_t *ctx,
    ngx_connection_t *pc);
void ngx_stream_mesh_relay_free(ngx_stream_mesh_ctx_t *ctx);

/* ngx_stream_mesh_review.c */
void ngx_stream_mesh_review(ngx_stream_mesh_ctx_t *ctx);
void ngx_stream_mesh_review_all(void);

/* ngx_stream_mesh_buffers.c */
void ngx_stream_mesh_buffers_client(ngx_stream_mesh_ctx_t *ctx);
void ngx_stream_mesh_buffers_upstream(ngx_stream_mesh_ctx_t *ctx);
void ngx_stream_mesh_buffers_free(ngx_stream_mesh_ctx_t *ctx);

/* ngx_stream_mesh_tls.c */
ngx_int_t ngx_stream_mesh_tls_servers(ngx_conf_t *cf);
ngx_int_t ngx_stream_mesh_set_session(ngx_peer_connection_t *pc, void *data);
void ngx_stream_mesh_watch_end(ngx_connection_t *c);
ngx_uint_t ngx_stream_mesh_is_cut_short(ngx_connection_t *c);
void ngx_stream_mesh_save_session(ngx_peer_connection_t *pc, void *data);

/* ngx_stream_mesh_count.c */
void ngx_stream_mesh_count_init(void);
void ngx_stream_mesh_count_connected(ngx_stream_mesh_ctx_t *ctx);
void ngx_stream_mesh_count_first_byte(ngx_stream_mesh_ctx_t *ctx);
void ngx_stream_mesh_count_ended(ngx_stream_mesh_ctx_t *ctx);


#endif /* _NGX_STREAM_MESH_H_INCLUDED_ */
