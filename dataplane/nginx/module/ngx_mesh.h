
/*
 * What the http and the stream part of the mesh module share: the worker's
 * state, original destinations, routing decisions.
 *
 * A worker is one thread.  Nothing here locks, but the counters file, which
 * is shared with the other workers (ngx_mesh_counters.h).
 */


#ifndef _NGX_MESH_H_INCLUDED_
#define _NGX_MESH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the sidecar's own ports (contract 6.ports), never a destination */

#define NGX_MESH_PORT_FIRST     8886
#define NGX_MESH_PORT_LAST      8909
#define NGX_MESH_PORT_INCOMING  8901

#define NGX_MESH_ERROR_MAX      512          /* of one file */


typedef enum {
    NGX_MESH_INCOMING = 0,
    NGX_MESH_OUTGOING
} ngx_mesh_direction_e;


typedef enum {
    NGX_MESH_OFF = 0,
    NGX_MESH_PERMISSIVE,
    NGX_MESH_STRICT
} ngx_mesh_mode_e;


typedef enum {
    NGX_MESH_PROTOCOL_NONE = 0,
    NGX_MESH_HTTP,
    NGX_MESH_GRPC,
    NGX_MESH_TCP,
    NGX_MESH_UDP
} ngx_mesh_protocol_e;


/* an IP address and a port; IPv4 is kept as IPv4-mapped IPv6 */

typedef struct {
    u_char                    ip[16];
    in_port_t                 port;          /* host byte order */
} ngx_mesh_addr_t;


typedef struct ngx_mesh_table_s     ngx_mesh_table_t;
typedef struct ngx_mesh_upstream_s  ngx_mesh_upstream_t;
typedef struct ngx_mesh_endpoint_s  ngx_mesh_endpoint_t;
typedef struct ngx_mesh_split_s     ngx_mesh_split_t;
typedef struct ngx_mesh_share_s     ngx_mesh_share_t;
typedef struct ngx_mesh_breaker_s   ngx_mesh_breaker_t;
typedef struct ngx_mesh_peer_s      ngx_mesh_peer_t;
typedef struct ngx_mesh_svid_s      ngx_mesh_svid_t;
typedef struct ngx_mesh_bundle_s    ngx_mesh_bundle_t;
typedef struct ngx_mesh_counters_s  ngx_mesh_counters_t;


/* where a stream listener hands a connection to: the targets' ports */

typedef enum {
    NGX_MESH_TO_HTTP_MTLS = 0,               /* 8888 */
    NGX_MESH_TO_HTTP_PLAINTEXT,              /* 8890 */
    NGX_MESH_TO_HTTP_OUTGOING,               /* 8889 */
    NGX_MESH_TO_GRPC_MTLS,                   /* 8891 */
    NGX_MESH_TO_GRPC_PLAINTEXT,              /* 8893 */
    NGX_MESH_TO_GRPC_OUTGOING,               /* 8892 */
    NGX_MESH_TO_TCP_MTLS,                    /* 8904 */
    NGX_MESH_TO_TCP_PLAINTEXT,               /* 8907 */
    NGX_MESH_TO_TCP_OUTGOING,                /* 8906 */
    NGX_MESH_TO_DENIED_INCOMING,             /* 8905 */
    NGX_MESH_TO_ERROR_OUTGOING,              /* 8902 */
    NGX_MESH_TO_ERROR_INCOMING,              /* 8903 */
    NGX_MESH_TO_PEEK                         /* the first bytes decide */
} ngx_mesh_target_e;


typedef struct {
    ngx_mesh_target_e         target;
    const char               *reason;        /* when it is a refusal */

    /* NGX_MESH_TO_TCP_OUTGOING; NULL: the original destination itself */

    ngx_mesh_upstream_t      *upstream;

    /* NGX_MESH_TO_PEEK: what comes after the look at the first bytes */

    ngx_mesh_target_e         mesh;          /* TLS with ALPN nsm/1 */
    ngx_mesh_target_e         tls;           /* other TLS */
    ngx_mesh_target_e         plain;         /* other bytes, or none */
    ngx_msec_t                silence;       /* without a byte: "plain" */
    const char               *denied;        /* reason, if one is refused */
} ngx_mesh_verdict_t;


typedef struct {
    ngx_str_t                 directory;

    ngx_mesh_table_t         *table;         /* NULL until known */
    ngx_mesh_svid_t          *svid;
    ngx_mesh_bundle_t        *bundle;
    ngx_uint_t                known_chains;  /* handshakes that met one */

    ngx_uint_t                seen;          /* generation taken over */
    ngx_uint_t                mark;          /* number of table changes */

    ngx_mesh_counters_t      *counters;
    ngx_atomic_t             *gauge;         /* open connections, of ours */

    void                    (*replaced)(ngx_mesh_table_t *t,
                                        ngx_mesh_table_t *old);
    void                    (*changed)(void);  /* table or bundle */
    void                    (*review)(void);   /* what is open, by it */
    void                    (*review_http)(void);
    void                    (*count)(void);    /* what is still going on */
} ngx_mesh_worker_t;


extern ngx_mesh_worker_t      ngx_mesh;
extern ngx_module_t           ngx_mesh_module;


/* ngx_mesh_addr.c */

ngx_int_t ngx_mesh_addr_parse(u_char *text, size_t len, ngx_mesh_addr_t *addr);
ngx_int_t ngx_mesh_addr_of(struct sockaddr *sa, ngx_mesh_addr_t *addr);
ngx_int_t ngx_mesh_original_dst(ngx_connection_t *c, ngx_mesh_addr_t *addr);
ngx_int_t ngx_mesh_original_dst_kept(ngx_connection_t *c,
    ngx_mesh_addr_t *addr);
socklen_t ngx_mesh_addr_sockaddr(ngx_mesh_addr_t *addr, ngx_sockaddr_t *sa);
u_char *ngx_mesh_addr_ip_text(u_char *buf, u_char *last,
    ngx_mesh_addr_t *addr);
u_char *ngx_mesh_addr_text(u_char *buf, u_char *last, ngx_mesh_addr_t *addr);
ngx_uint_t ngx_mesh_addr_is_sidecar(ngx_mesh_addr_t *addr);
ngx_uint_t ngx_mesh_addr_same_host(ngx_mesh_addr_t *a, struct sockaddr *sa);


/* ngx_mesh_route.c */

void ngx_mesh_route_incoming(ngx_mesh_addr_t *dst, struct sockaddr *source,
    ngx_mesh_verdict_t *v);
void ngx_mesh_route_outgoing(ngx_mesh_addr_t *dst, struct sockaddr *source,
    ngx_mesh_verdict_t *v);
ngx_uint_t ngx_mesh_is_refusal(ngx_mesh_target_e target);
ngx_uint_t ngx_mesh_accepts_health(ngx_mesh_addr_t *dst);
ngx_uint_t ngx_mesh_accepts(ngx_mesh_addr_t *dst,
    ngx_mesh_protocol_e protocol);


/* ngx_mesh_apply.c */

ngx_int_t ngx_mesh_apply(ngx_str_t *errors, size_t size, ngx_log_t *log);
ngx_uint_t ngx_mesh_load(ngx_log_t *log);
void ngx_mesh_refresh(ngx_log_t *log);
ngx_uint_t ngx_mesh_ready(const char **reason);


/* ngx_mesh_log.c */

void ngx_mesh_log_level(ngx_uint_t level);


/* ngx_mesh_abort.c */

void ngx_mesh_abort(ngx_connection_t *c);


/* ngx_mesh_drain.c */

void ngx_mesh_drain_init(ngx_cycle_t *cycle);
void ngx_mesh_drain_start(ngx_log_t *log);
ngx_uint_t ngx_mesh_draining(void);


#endif /* _NGX_MESH_H_INCLUDED_ */
