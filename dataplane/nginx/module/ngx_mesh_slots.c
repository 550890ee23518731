
/*
 * Slots of the counters file: found without a lock, made under one.
 */


#include "ngx_mesh_counters.h"


/* a series that nobody added to for this long may give its slot away */
#define NGX_MESH_SLOT_IDLE  3600


static uint64_t
ngx_mesh_slot_hash(ngx_mesh_family_e family, ngx_str_t *labels)
{
    uint64_t  hash;

    hash = (uint64_t) ngx_crc32_long(labels->data, labels->len) << 32;
    hash |= ngx_murmur_hash2(labels->data, labels->len);
    hash ^= family;

    return hash ? hash : 1;
}


static ngx_mesh_slot_t *
ngx_mesh_slot_find(ngx_mesh_counters_t *c, ngx_mesh_family_e family,
    ngx_str_t *labels, uint64_t hash)
{
    uint32_t          n;
    ngx_uint_t        i;
    ngx_mesh_slot_t  *slot;

    for (i = hash % NGX_MESH_INDEX_SIZE;
         (n = c->index[i]) != 0 && n <= NGX_MESH_SLOTS;
         i = (i + 1) % NGX_MESH_INDEX_SIZE)
    {
        slot = &c->slots[n - 1];

        if (slot->hash == hash
            && slot->family == family
            && slot->len == labels->len
            && ngx_memcmp(slot->labels, labels->data, labels->len) == 0)
        {
            return slot;
        }
    }

    return NULL;
}


static void
ngx_mesh_index_add(ngx_mesh_counters_t *c, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = c->slots[n].hash % NGX_MESH_INDEX_SIZE;
         c->index[i];
         i = (i + 1) % NGX_MESH_INDEX_SIZE)
    {
        /* void */
    }

    ngx_memory_barrier();

    c->index[i] = n + 1;
}


/* whoever searches meanwhile finds nothing and then waits for the lock */

void
ngx_mesh_slots_enter(ngx_mesh_counters_t *c)
{
    ngx_uint_t  i;

    ngx_memzero(c->index, sizeof(c->index));

    for (i = 0; i < c->nslots; i++) {
        if (c->slots[i].hash) {
            ngx_mesh_index_add(c, i);
        }
    }
}


static void
ngx_mesh_counters_reclaim(ngx_mesh_counters_t *c)
{
    ngx_uint_t        i;
    ngx_mesh_slot_t  *slot;

    for (i = 0; i < c->nslots; i++) {
        slot = &c->slots[i];

        if (slot->family != NGX_MESH_FAMILY_REFUSALS
            && slot->family != NGX_MESH_FAMILY_HANDSHAKES
            && (time_t) slot->used + NGX_MESH_SLOT_IDLE < ngx_time())
        {
            slot->hash = 0;
        }
    }

    ngx_mesh_slots_enter(c);
}


static ngx_mesh_slot_t *
ngx_mesh_slot_free(ngx_mesh_counters_t *c)
{
    ngx_uint_t  i;

    if (c->nslots < NGX_MESH_SLOTS) {
        return &c->slots[c->nslots++];
    }

    for (i = 0; i < NGX_MESH_SLOTS; i++) {
        if (c->slots[i].hash == 0) {
            return &c->slots[i];
        }
    }

    return NULL;
}


static ngx_mesh_slot_t *
ngx_mesh_slot_make(ngx_mesh_counters_t *c, ngx_mesh_family_e family,
    ngx_str_t *labels, uint64_t hash)
{
    ngx_mesh_slot_t  *slot;

    static time_t     reclaimed;

    slot = ngx_mesh_slot_free(c);

    if (slot == NULL && reclaimed != ngx_time()) {
        reclaimed = ngx_time();
        ngx_mesh_counters_reclaim(c);
        slot = ngx_mesh_slot_free(c);
    }

    if (slot == NULL) {
        return NULL;
    }

    ngx_memzero(slot, sizeof(ngx_mesh_slot_t));

    slot->family = family;
    slot->len = labels->len;
    slot->used = ngx_time();
    ngx_memcpy(slot->labels, labels->data, labels->len);

    ngx_memory_barrier();

    slot->hash = hash;
    ngx_mesh_index_add(c, slot - c->slots);

    return slot;
}


/* NULL, counted as lost: every slot is in use, or the lock is */

ngx_mesh_slot_t *
ngx_mesh_slot(ngx_mesh_family_e family, ngx_str_t *labels)
{
    uint64_t              hash;
    ngx_mesh_slot_t      *slot;
    ngx_mesh_counters_t  *c;

    c = ngx_mesh.counters;
    hash = ngx_mesh_slot_hash(family, labels);

    slot = ngx_mesh_slot_find(c, family, labels, hash);

    if (slot == NULL && labels->len <= NGX_MESH_LABELS_MAX
        && ngx_mesh_counters_lock(c) == NGX_OK)
    {
        slot = ngx_mesh_slot_find(c, family, labels, hash);

        if (slot == NULL) {
            slot = ngx_mesh_slot_make(c, family, labels, hash);
        }

        ngx_mesh_unlock(&c->lock);
    }

    if (slot == NULL) {
        ngx_mesh_count_lost(labels);
        return NULL;
    }

    slot->used = ngx_time();

    return slot;
}


ngx_uint_t
ngx_mesh_slot_number(ngx_mesh_slot_t *slot)
{
    return slot - ngx_mesh.counters->slots;
}


/* NULL: the slot was given to another series */

ngx_mesh_slot_t *
ngx_mesh_slot_cached(ngx_uint_t number, uint64_t hash)
{
    ngx_mesh_slot_t  *slot;

    slot = &ngx_mesh.counters->slots[number];

    if (hash == 0 || slot->hash != hash) {
        return NULL;
    }

    slot->used = ngx_time();

    return slot;
}
