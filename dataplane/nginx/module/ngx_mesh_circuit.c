
/*
 * The circuits of this sidecar.  Its master maps them before it has workers.
 * Whether one is open is read without a lock; errors are noted under one.
 */


#include "ngx_mesh_counters.h"
#include "ngx_mesh_lock.h"
#include "ngx_mesh_split.h"
#include <sys/mman.h>


/* one that no table named for this long may be given to another policy */
#define NGX_MESH_CIRCUIT_IDLE  3600000


struct ngx_mesh_circuit_s {
    uint64_t                  hash;          /* 0: free */
    ngx_atomic_t              named;         /* by a table, when */
    ngx_atomic_t              lock;
    ngx_atomic_t              until;         /* 0: it is closed */
    ngx_msec_t                last;          /* error */
    ngx_uint_t                first;         /* of the ring */
    ngx_uint_t                n;
};


typedef ngx_msec_t  ngx_mesh_errors_t[NGX_MESH_CIRCUIT_ERRORS_MAX];


typedef struct {
    ngx_atomic_t              lock;          /* of who makes a circuit */
    ngx_uint_t                n;             /* made so far */
    ngx_mesh_circuit_t        circuits[NGX_MESH_CIRCUITS];
    ngx_mesh_errors_t         errors[NGX_MESH_CIRCUITS];
} ngx_mesh_circuits_t;


static ngx_mesh_circuits_t  *ngx_mesh_circuits;


/* pages that nothing was written to take no memory */

ngx_int_t
ngx_mesh_circuits_map(ngx_log_t *log)
{
    void  *p;

    if (ngx_mesh_circuits) {
        return NGX_OK;
    }

    p = mmap(NULL, sizeof(ngx_mesh_circuits_t), PROT_READ|PROT_WRITE,
             MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "mmap() of circuits failed");
        return NGX_ERROR;
    }

    ngx_mesh_circuits = p;

    return NGX_OK;
}


ngx_uint_t
ngx_mesh_circuit_may_open(ngx_mesh_guard_t *g)
{
    return g->errors && g->window;
}


static ngx_mesh_circuit_t *
ngx_mesh_circuit_find(uint64_t hash)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_mesh_circuits->n; i++) {
        if (ngx_mesh_circuits->circuits[i].hash == hash) {
            return &ngx_mesh_circuits->circuits[i];
        }
    }

    return NULL;
}


/* another worker may be about to note an error of who had it */

static ngx_uint_t
ngx_mesh_circuit_give(ngx_mesh_circuit_t *c, uint64_t hash)
{
    if (ngx_mesh_lock(&c->lock) == NGX_BUSY) {
        return 0;
    }

    c->hash = hash;
    c->until = 0;
    c->last = 0;
    c->first = 0;
    c->n = 0;

    ngx_mesh_unlock(&c->lock);

    return 1;
}


static ngx_mesh_circuit_t *
ngx_mesh_circuit_make(uint64_t hash)
{
    ngx_uint_t           i;
    ngx_msec_int_t       idle;
    ngx_mesh_circuit_t  *c;

    if (ngx_mesh_circuits->n < NGX_MESH_CIRCUITS) {
        c = &ngx_mesh_circuits->circuits[ngx_mesh_circuits->n];
        c->hash = hash;
        ngx_mesh_circuits->n++;
        return c;
    }

    for (i = 0; i < NGX_MESH_CIRCUITS; i++) {
        c = &ngx_mesh_circuits->circuits[i];

        /* another worker's clock may have been read a little later */

        idle = ngx_current_msec - c->named;

        if (idle > NGX_MESH_CIRCUIT_IDLE && ngx_mesh_circuit_give(c, hash)) {
            return c;
        }
    }

    return NULL;
}


static void
ngx_mesh_circuit_name(ngx_mesh_guard_t *g, ngx_mesh_circuit_t *c)
{
    if (c) {
        c->named = ngx_current_msec;
    }

    g->circuit = c;
}


/* those that are there first: none of them is given to a new policy */

static void
ngx_mesh_circuits_hold(ngx_mesh_table_t *t)
{
    ngx_uint_t           i;
    ngx_mesh_guard_t    *g;
    ngx_mesh_circuit_t  *c;

    for (i = 0; i < t->nbreakers; i++) {
        g = &t->breakers[i].guard;

        if (ngx_mesh_circuit_may_open(g)) {
            ngx_mesh_circuit_name(g, ngx_mesh_circuit_find(g->hash));
        }
    }

    for (i = 0; i < t->nbreakers; i++) {
        g = &t->breakers[i].guard;

        if (ngx_mesh_circuit_may_open(g) && g->circuit == NULL) {
            c = ngx_mesh_circuit_find(g->hash);
            ngx_mesh_circuit_name(g, c ? c : ngx_mesh_circuit_make(g->hash));
        }
    }
}


/* series are there from the beginning, so that the first opening is a rise */

static void
ngx_mesh_circuit_series(ngx_mesh_breaker_t *b)
{
    u_char            buf[NGX_MESH_LABELS_MAX + 1];
    ngx_str_t         labels;
    ngx_mesh_slot_t  *slot;

    labels.data = buf;
    labels.len = ngx_slprintf(buf, buf + sizeof(buf), "policy=\"%V\"",
                              &b->policy->name)
                 - buf;

    slot = ngx_mesh_slot(NGX_MESH_FAMILY_CIRCUITS, &labels);

    if (slot) {
        b->guard.counter_slot = ngx_mesh_slot_number(slot);
        b->guard.counter_hash = slot->hash;
    }
}


void
ngx_mesh_circuits_link(ngx_mesh_table_t *t)
{
    ngx_str_t           *name;
    ngx_uint_t           i;
    ngx_mesh_breaker_t  *b;

    if (ngx_mesh_circuits == NULL || t->nbreakers == 0) {
        return;
    }

    for (i = 0; i < t->nbreakers; i++) {
        b = &t->breakers[i];
        name = &b->policy->name;

        b->guard.hash = (uint64_t) ngx_crc32_long(name->data, name->len) << 32
                        | ngx_murmur_hash2(name->data, name->len);
    }

    if (ngx_mesh_lock(&ngx_mesh_circuits->lock) != NGX_BUSY) {
        ngx_mesh_circuits_hold(t);
        ngx_mesh_unlock(&ngx_mesh_circuits->lock);
    }

    ngx_mesh_circuits_tell(t);

    for (i = 0; ngx_mesh.counters && i < t->nbreakers; i++) {
        ngx_mesh_circuit_series(&t->breakers[i]);
    }
}


static ngx_uint_t
ngx_mesh_circuit_is_held(ngx_mesh_guard_t *g)
{
    return g->circuit && g->circuit->hash == g->hash;
}


ngx_uint_t
ngx_mesh_circuit_is_open(ngx_mesh_guard_t *g)
{
    return ngx_mesh_circuit_is_held(g)
           && ngx_current_msec < (ngx_msec_t) g->circuit->until;
}


/* the error of this number, counted back from the latest, which is 1 */

static ngx_msec_t
ngx_mesh_circuit_back(ngx_mesh_circuit_t *c, ngx_uint_t number)
{
    ngx_msec_t  *errors;

    errors = ngx_mesh_circuits->errors[c - ngx_mesh_circuits->circuits];

    return errors[(c->first + c->n - number) % NGX_MESH_CIRCUIT_ERRORS_MAX];
}


static void
ngx_mesh_circuit_note(ngx_mesh_circuit_t *c, ngx_msec_t now)
{
    ngx_msec_t  *errors;

    errors = ngx_mesh_circuits->errors[c - ngx_mesh_circuits->circuits];

    errors[(c->first + c->n) % NGX_MESH_CIRCUIT_ERRORS_MAX] = now;

    if (c->n < NGX_MESH_CIRCUIT_ERRORS_MAX) {
        c->n++;

    } else {
        c->first = (c->first + 1) % NGX_MESH_CIRCUIT_ERRORS_MAX;
    }
}


/* what was asked before it opened, and fails after that, opens it no more */

void
ngx_mesh_circuit_error(ngx_mesh_guard_t *g)
{
    ngx_uint_t           opened;
    ngx_msec_t           now;
    ngx_mesh_slot_t     *slot;
    ngx_mesh_circuit_t  *c;

    if (!ngx_mesh_circuit_is_held(g)) {
        return;
    }

    c = g->circuit;
    opened = 0;

    if (ngx_mesh_lock(&c->lock) == NGX_BUSY) {
        return;
    }

    /* another worker's clock may have been read a little later */

    now = ngx_max(ngx_current_msec, c->last);

    if (now >= (ngx_msec_t) c->until && ngx_mesh_circuit_is_held(g)) {
        c->last = now;
        ngx_mesh_circuit_note(c, now);

        if (c->n >= g->errors
            && now - ngx_mesh_circuit_back(c, g->errors) < g->window)
        {
            c->n = 0;
            c->until = now + g->window;
            opened = 1;
        }
    }

    ngx_mesh_unlock(&c->lock);

    if (opened && ngx_mesh.counters) {
        slot = ngx_mesh_slot_cached(g->counter_slot, g->counter_hash);

        if (slot) {
            (void) ngx_atomic_fetch_add(&slot->values[0], 1);
        }
    }
}


void
ngx_mesh_circuit_view(ngx_mesh_guard_t *g, ngx_mesh_circuit_view_t *v)
{
    ngx_mesh_circuit_t  *c;

    v->errors = 0;
    v->closes = 0;

    if (!ngx_mesh_circuit_is_held(g)) {
        return;
    }

    c = g->circuit;

    if (ngx_mesh_lock(&c->lock) == NGX_BUSY) {
        return;
    }

    if (ngx_current_msec < (ngx_msec_t) c->until) {
        v->closes = c->until - ngx_current_msec;
    }

    while (v->errors < c->n
           && ngx_current_msec < ngx_mesh_circuit_back(c, v->errors + 1)
                                 + g->window)
    {
        v->errors++;
    }

    ngx_mesh_unlock(&c->lock);
}
