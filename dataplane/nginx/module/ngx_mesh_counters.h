
/*
 * Counters that outlive workers and masters: a file in the state directory,
 * mapped by all of them.
 *
 *   header (one page)   generation, gauges, totals
 *   index               open addressing over slot numbers + 1
 *   slots               a family, a label set, and eight values each
 *
 * Values are added to atomically.  A slot is made under a lock that a worker
 * which died with it does not keep; what it left half done is put right.
 */


#ifndef _NGX_MESH_COUNTERS_H_INCLUDED_
#define _NGX_MESH_COUNTERS_H_INCLUDED_


#include "ngx_mesh.h"
#include "ngx_mesh_lock.h"
#include "ngx_mesh_table.h"


#define NGX_MESH_COUNTERS_VERSION  2
#define NGX_MESH_INDEX_SIZE        8192
#define NGX_MESH_SLOTS             4096
#define NGX_MESH_LABELS_MAX        920
#define NGX_MESH_WORKERS_MAX       64

/* series of times: labels of a slot, and a status code */
#define NGX_MESH_HISTOGRAMS        8192
#define NGX_MESH_HISTOGRAM_INDEX   16384
#define NGX_MESH_BUCKETS           20        /* and one more: +Inf */


typedef enum {
    NGX_MESH_FAMILY_OUTGOING = 1,            /* calls to other workloads */
    NGX_MESH_FAMILY_INCOMING,                /* calls to the application */
    NGX_MESH_FAMILY_REFUSALS,
    NGX_MESH_FAMILY_HANDSHAKES,
    NGX_MESH_FAMILY_TCP_OUTGOING,
    NGX_MESH_FAMILY_TCP_INCOMING,
    NGX_MESH_FAMILY_RETRIES,
    NGX_MESH_FAMILY_TIMEOUTS,
    NGX_MESH_FAMILY_CIRCUITS,                /* times that one opened */
    NGX_MESH_FAMILY_POLICY_REFUSALS,         /* with a policy to blame */
    NGX_MESH_FAMILY_PRECONNECTS
} ngx_mesh_family_e;


/* values of the families of calls; the others have one value */

#define NGX_MESH_VALUE_REQUESTS  0
#define NGX_MESH_VALUE_CLASS     0           /* + 1 .. 5 */


/* values of the families of TCP connections; times are sums in ms */

typedef enum {
    NGX_MESH_TCP_CONNECTIONS = 0,
    NGX_MESH_TCP_SENT,
    NGX_MESH_TCP_RECEIVED,
    NGX_MESH_TCP_CONNECT_TIME,
    NGX_MESH_TCP_FIRST_BYTE_TIME,
    NGX_MESH_TCP_FIRST_BYTES,                /* how many had one */
    NGX_MESH_TCP_RESPONSE_TIME,
    NGX_MESH_TCP_ENDED
} ngx_mesh_tcp_value_e;


typedef struct {
    uint64_t                  hash;          /* 0: free */
    ngx_atomic_t              used;          /* seconds since 1970 */
    uint32_t                  family;
    uint32_t                  len;
    ngx_atomic_t              values[8];
    u_char                    labels[NGX_MESH_LABELS_MAX];
    u_char                    reserved[16];
} ngx_mesh_slot_t;


typedef struct {
    uint64_t                  hash;          /* of the slot; 0: free */
    uint32_t                  slot;
    uint32_t                  code;          /* HTTP status */
    ngx_atomic_t              sum;           /* ms */
    ngx_atomic_t              buckets[NGX_MESH_BUCKETS + 1];
    ngx_atomic_t              reserved[8];
} ngx_mesh_histogram_t;


typedef struct {
    u_char                    magic[8];
    uint32_t                  version;
    uint32_t                  size;
} ngx_mesh_counters_head_t;


/* a worker that died leaves its gauge behind, hence its name */

typedef struct {
    ngx_atomic_t              owner;
    ngx_atomic_t              active;
} ngx_mesh_gauge_t;


struct ngx_mesh_counters_s {
    ngx_mesh_counters_head_t  head;

    ngx_atomic_t              lock;          /* ngx_mesh_lock.h */
    ngx_atomic_t              generation;
    ngx_atomic_t              draining;
    ngx_atomic_t              nslots;
    ngx_atomic_t              lost;          /* additions without a slot */

    ngx_atomic_t              accepted[2];   /* by direction */
    ngx_atomic_t              handled[2];
    ngx_atomic_t              requests[2];
    ngx_mesh_gauge_t          gauges[NGX_MESH_WORKERS_MAX];

    ngx_atomic_t              nhistograms;

    u_char                    reserved[2960];

    uint32_t                  index[NGX_MESH_INDEX_SIZE];
    ngx_mesh_slot_t           slots[NGX_MESH_SLOTS];

    uint32_t                  histogram_index[NGX_MESH_HISTOGRAM_INDEX];
    ngx_mesh_histogram_t      histograms[NGX_MESH_HISTOGRAMS];
};


ngx_int_t ngx_mesh_counters_open(ngx_cycle_t *cycle, ngx_str_t *directory);
void ngx_mesh_counters_start_worker(void);
ngx_uint_t ngx_mesh_count_open(void);

/* NGX_BUSY: who has it does not give it away */
ngx_int_t ngx_mesh_counters_lock(ngx_mesh_counters_t *c);

ngx_mesh_slot_t *ngx_mesh_slot(ngx_mesh_family_e family, ngx_str_t *labels);
void ngx_mesh_slots_enter(ngx_mesh_counters_t *c);
void ngx_mesh_count_lost(ngx_str_t *labels);
ngx_uint_t ngx_mesh_slot_number(ngx_mesh_slot_t *slot);
ngx_mesh_slot_t *ngx_mesh_slot_cached(ngx_uint_t number, uint64_t hash);
ngx_mesh_slot_t *ngx_mesh_series(ngx_mesh_family_e family,
    ngx_mesh_direction_e direction, ngx_mesh_upstream_t *u,
    ngx_mesh_endpoint_t *e);

/* ngx_mesh_histogram.c */

extern const ngx_msec_t  ngx_mesh_buckets[NGX_MESH_BUCKETS];

void ngx_mesh_histograms_enter(ngx_mesh_counters_t *c);
void ngx_mesh_histogram_add(ngx_mesh_slot_t *slot, ngx_uint_t code,
    ngx_msec_t ms, uint32_t *last);

void ngx_mesh_count_refusal(ngx_mesh_direction_e direction,
    const char *reason);
void ngx_mesh_count_refusal_by(ngx_mesh_direction_e direction,
    const char *reason, ngx_mesh_policy_t *policy);
void ngx_mesh_count_preconnect(const char *result);
void ngx_mesh_count_handshake(ngx_mesh_direction_e direction,
    const char *result);
void ngx_mesh_count_accepted(ngx_mesh_direction_e direction);
void ngx_mesh_count_handled(ngx_mesh_direction_e direction);
void ngx_mesh_count_active(ngx_int_t n);

const char *ngx_mesh_direction_name(ngx_mesh_direction_e direction);


#endif /* _NGX_MESH_COUNTERS_H_INCLUDED_ */
