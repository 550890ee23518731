
/*
 * Histograms of times in the counters file: found without a lock, made under
 * the one of the slots.  An addition is two atomic ones.
 */


#include "ngx_mesh_counters.h"


/* upper bounds, ms */

const ngx_msec_t  ngx_mesh_buckets[NGX_MESH_BUCKETS] = {
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000,
    2000, 10000, 60000
};


_Static_assert(sizeof(ngx_mesh_histogram_t) == 256, "histogram layout");


static ngx_uint_t
ngx_mesh_histogram_place(uint64_t hash, ngx_uint_t code)
{
    return (hash + code * 2654435761u) % NGX_MESH_HISTOGRAM_INDEX;
}


static ngx_mesh_histogram_t *
ngx_mesh_histogram_find(ngx_mesh_counters_t *c, uint64_t hash,
    ngx_uint_t code)
{
    uint32_t               n;
    ngx_uint_t             i;
    ngx_mesh_histogram_t  *h;

    for (i = ngx_mesh_histogram_place(hash, code);
         (n = c->histogram_index[i]) != 0 && n <= NGX_MESH_HISTOGRAMS;
         i = (i + 1) % NGX_MESH_HISTOGRAM_INDEX)
    {
        h = &c->histograms[n - 1];

        if (h->hash == hash && h->code == code) {
            return h;
        }
    }

    return NULL;
}


static void
ngx_mesh_histogram_enter(ngx_mesh_counters_t *c, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = ngx_mesh_histogram_place(c->histograms[n].hash,
                                      c->histograms[n].code);
         c->histogram_index[i];
         i = (i + 1) % NGX_MESH_HISTOGRAM_INDEX)
    {
        /* void */
    }

    ngx_memory_barrier();

    c->histogram_index[i] = n + 1;
}


void
ngx_mesh_histograms_enter(ngx_mesh_counters_t *c)
{
    ngx_uint_t  i;

    ngx_memzero(c->histogram_index, sizeof(c->histogram_index));

    for (i = 0; i < c->nhistograms; i++) {
        if (c->histograms[i].hash) {
            ngx_mesh_histogram_enter(c, i);
        }
    }
}


/* those of slots that were given to other series may go */

static void
ngx_mesh_histogram_reclaim(ngx_mesh_counters_t *c)
{
    ngx_uint_t             i;
    ngx_mesh_histogram_t  *h;

    for (i = 0; i < c->nhistograms; i++) {
        h = &c->histograms[i];

        if (c->slots[h->slot].hash != h->hash) {
            h->hash = 0;
        }
    }

    ngx_mesh_histograms_enter(c);
}


static ngx_mesh_histogram_t *
ngx_mesh_histogram_free(ngx_mesh_counters_t *c)
{
    ngx_uint_t  i;

    if (c->nhistograms < NGX_MESH_HISTOGRAMS) {
        return &c->histograms[c->nhistograms++];
    }

    for (i = 0; i < NGX_MESH_HISTOGRAMS; i++) {
        if (c->histograms[i].hash == 0) {
            return &c->histograms[i];
        }
    }

    return NULL;
}


static ngx_mesh_histogram_t *
ngx_mesh_histogram_make(ngx_mesh_counters_t *c, ngx_mesh_slot_t *slot,
    ngx_uint_t code)
{
    ngx_mesh_histogram_t  *h;

    static time_t          reclaimed;

    h = ngx_mesh_histogram_free(c);

    if (h == NULL && reclaimed != ngx_time()) {
        reclaimed = ngx_time();
        ngx_mesh_histogram_reclaim(c);
        h = ngx_mesh_histogram_free(c);
    }

    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_mesh_histogram_t));

    h->slot = slot - c->slots;
    h->code = code;

    ngx_memory_barrier();

    h->hash = slot->hash;
    ngx_mesh_histogram_enter(c, h - c->histograms);

    return h;
}


static ngx_mesh_histogram_t *
ngx_mesh_histogram(ngx_mesh_slot_t *slot, ngx_uint_t code)
{
    ngx_mesh_counters_t   *c;
    ngx_mesh_histogram_t  *h;

    c = ngx_mesh.counters;
    h = ngx_mesh_histogram_find(c, slot->hash, code);

    if (h == NULL && ngx_mesh_counters_lock(c) == NGX_OK) {

        h = ngx_mesh_histogram_find(c, slot->hash, code);

        if (h == NULL) {
            h = ngx_mesh_histogram_make(c, slot, code);
        }

        ngx_mesh_unlock(&c->lock);
    }

    if (h) {
        h->slot = slot - c->slots;
    }

    return h;
}


/* "last" remembers for a caller which one it was */

void
ngx_mesh_histogram_add(ngx_mesh_slot_t *slot, ngx_uint_t code, ngx_msec_t ms,
    uint32_t *last)
{
    ngx_str_t              labels;
    ngx_uint_t             i;
    ngx_mesh_histogram_t  *h;

    h = *last ? &ngx_mesh.counters->histograms[*last - 1] : NULL;

    if (h == NULL || h->hash != slot->hash || h->code != code) {

        h = ngx_mesh_histogram(slot, code);

        if (h == NULL) {
            labels.data = slot->labels;
            labels.len = slot->len;

            ngx_mesh_count_lost(&labels);
            return;
        }

        *last = h - ngx_mesh.counters->histograms + 1;
    }

    for (i = 0; i < NGX_MESH_BUCKETS && ms > ngx_mesh_buckets[i]; i++) {
        /* void */
    }

    (void) ngx_atomic_fetch_add(&h->buckets[i], 1);
    (void) ngx_atomic_fetch_add(&h->sum, ms);
}
