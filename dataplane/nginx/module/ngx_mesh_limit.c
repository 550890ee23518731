
/*
 * Which rate limits name a caller: a hash of the pods that they name, so that
 * limits of others cost a request nothing.
 */


#include "ngx_mesh_limit.h"


ngx_int_t
ngx_mesh_limits_allocate(ngx_mesh_limits_t *ls, ngx_pool_t *pool,
    ngx_uint_t limits, ngx_uint_t sources, ngx_uint_t ports,
    ngx_uint_t matches)
{
    ngx_uint_t  size;

    if (limits == 0) {
        return NGX_OK;
    }

    /* one that takes everyone has a caller without a name */

    sources += limits;

    for (size = 8; size < 2 * sources; size *= 2) { /* void */ }

    ls->limits = ngx_pcalloc(pool, limits * sizeof(ngx_mesh_limit_t));
    ls->callers = ngx_pcalloc(pool, sources * sizeof(ngx_mesh_limited_t));
    ls->ports = ngx_palloc(pool, (ports + 1) * sizeof(in_port_t));
    ls->matches = ngx_palloc(pool, (matches + 1)
                                   * sizeof(ngx_mesh_match_t *));
    ls->index = ngx_pcalloc(pool, size * sizeof(uint32_t));

    if (ls->limits == NULL || ls->callers == NULL || ls->ports == NULL
        || ls->matches == NULL || ls->index == NULL)
    {
        return NGX_ERROR;
    }

    ls->mask = size - 1;

    return NGX_OK;
}


static ngx_uint_t
ngx_mesh_limits_slot(ngx_mesh_limits_t *ls, ngx_str_t *pod)
{
    uint32_t    n;
    ngx_str_t  *name;
    ngx_uint_t  i;

    i = ngx_murmur_hash2(pod->data, pod->len) & ls->mask;

    for ( ;; ) {
        n = ls->index[i];

        if (n == 0) {
            return i;
        }

        name = &ls->callers[n - 1].pod;

        /* who has no name, as everyone else, has no bytes to compare */

        if (name->len == pod->len
            && (pod->len == 0
                || ngx_memcmp(name->data, pod->data, pod->len) == 0))
        {
            return i;
        }

        i = (i + 1) & ls->mask;
    }
}


static uint64_t
ngx_mesh_limits_key(ngx_str_t *policy, ngx_uint_t bucket)
{
    uint64_t  key;

    key = (uint64_t) ngx_crc32_long(policy->data, policy->len) << 32
          | ngx_murmur_hash2(policy->data, policy->len);

    /* neighbours are far from each other, and 0 is nobody's */

    key = (key ^ (bucket + 1)) * 0x9e3779b97f4a7c15;

    return (key ^ (key >> 32)) | 1;
}


void
ngx_mesh_limits_name(ngx_mesh_limits_t *ls, ngx_str_t *pod, ngx_uint_t bucket)
{
    ngx_uint_t           i;
    ngx_mesh_limited_t  *caller, *other;

    caller = &ls->callers[ls->ncallers++];

    caller->pod = *pod;
    caller->limit = &ls->limits[ls->nlimits - 1];
    caller->key = ngx_mesh_limits_key(&caller->limit->policy->name, bucket);

    i = ngx_mesh_limits_slot(ls, pod);

    if (ls->index[i] == 0) {
        ls->index[i] = ls->ncallers;
        return;
    }

    other = &ls->callers[ls->index[i] - 1];

    while (other->next) {
        other = other->next;
    }

    other->next = caller;
}


ngx_mesh_limited_t *
ngx_mesh_limits_find(ngx_mesh_limits_t *ls, ngx_str_t *pod)
{
    uint32_t  n;

    if (ls->nlimits == 0) {
        return NULL;
    }

    n = ls->index[ngx_mesh_limits_slot(ls, pod)];

    return n ? &ls->callers[n - 1] : NULL;
}


ngx_uint_t
ngx_mesh_limit_holds_for_port(ngx_mesh_limit_t *limit, in_port_t port)
{
    ngx_uint_t  i;

    for (i = 0; i < limit->nports; i++) {
        if (limit->ports[i] == port) {
            return 1;
        }
    }

    return limit->nports == 0;
}
