
/*
 * The leaky buckets of this sidecar.  Its master maps them before it has
 * workers.  A bucket may lie in one of a few places that its key tells; it
 * leaves its place to another only when it has run out, for then it is as
 * good as one that nothing came to.
 */


#include "ngx_mesh.h"
#include "ngx_mesh_limit.h"
#include "ngx_mesh_lock.h"
#include <sys/mman.h>


#define NGX_MESH_BUCKET_PLACES  8192          /* a power of two */
#define NGX_MESH_BUCKET_CHOICES        32

#define NGX_MESH_BUCKET_REQUEST   1000

/* one that was just made is nobody else's for so long */
#define NGX_MESH_BUCKET_NEW    1000


struct ngx_mesh_bucket_s {
    uint64_t                  key;           /* 0: free */
    ngx_atomic_t              lock;
    uint64_t                  excess;
    ngx_msec_t                last;          /* request that was let in */
    ngx_msec_t                empty;         /* from then on */
    ngx_uint_t                fresh;         /* unsigned :1 */
};


typedef struct {
    ngx_atomic_t              lock;          /* of who makes a bucket */
    ngx_atomic_t              missed;        /* requests */
    ngx_mesh_bucket_t         buckets[NGX_MESH_BUCKET_PLACES];
} ngx_mesh_bucket_map_t;


static ngx_mesh_bucket_map_t  *ngx_mesh_bucket_map;


/* pages that nothing was written to take no memory */

ngx_int_t
ngx_mesh_buckets_map(ngx_log_t *log)
{
    void  *p;

    if (ngx_mesh_bucket_map) {
        return NGX_OK;
    }

    p = mmap(NULL, sizeof(ngx_mesh_bucket_map_t), PROT_READ|PROT_WRITE,
             MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "mmap() of rate limits failed");
        return NGX_ERROR;
    }

    ngx_mesh_bucket_map = p;

    return NGX_OK;
}


static ngx_mesh_bucket_t *
ngx_mesh_bucket_place(uint64_t key, ngx_uint_t i)
{
    return &ngx_mesh_bucket_map->buckets[((key >> 1) + i)
                                         & (NGX_MESH_BUCKET_PLACES - 1)];
}


static ngx_uint_t
ngx_mesh_bucket_claim(ngx_mesh_bucket_t *b, uint64_t key, ngx_msec_t now)
{
    ngx_uint_t  free;

    if (ngx_mesh_lock(&b->lock) == NGX_BUSY) {
        return 0;
    }

    free = (b->key == 0 || b->empty <= now);

    if (free) {
        b->key = key;
        b->excess = 0;
        b->last = now;
        b->empty = now + NGX_MESH_BUCKET_NEW;
        b->fresh = 1;
    }

    ngx_mesh_unlock(&b->lock);

    return free;
}


static ngx_mesh_bucket_t *
ngx_mesh_bucket_find(uint64_t key, ngx_msec_t now)
{
    ngx_uint_t          i;
    ngx_mesh_bucket_t  *b;

    for (i = 0; i < NGX_MESH_BUCKET_CHOICES; i++) {
        b = ngx_mesh_bucket_place(key, i);

        if (b->key == key) {
            return b;
        }
    }

    for (i = 0; i < NGX_MESH_BUCKET_CHOICES; i++) {
        b = ngx_mesh_bucket_place(key, i);

        if (ngx_mesh_bucket_claim(b, key, now)) {
            return b;
        }
    }

    return NULL;
}


/* from one thousandth of a request to the time that it takes to run out */

static ngx_msec_t
ngx_mesh_bucket_time(ngx_mesh_limit_t *limit, uint64_t excess)
{
    return excess * 1000000 / limit->rate;
}


static uint64_t
ngx_mesh_bucket_excess(ngx_mesh_bucket_t *b, ngx_mesh_limit_t *limit,
    ngx_msec_t now)
{
    uint64_t    excess, gone;
    ngx_msec_t  elapsed;

    if (b->fresh) {
        return 0;
    }

    /* another worker's clock may have been read a little later */

    elapsed = now > b->last ? now - b->last : 0;
    excess = b->excess + NGX_MESH_BUCKET_REQUEST;

    if (elapsed > ngx_mesh_bucket_time(limit, excess)) {
        return 0;
    }

    gone = elapsed * limit->rate / 1000000;

    return gone < excess ? excess - gone : 0;
}


/* NGX_AGAIN: it is another one's by now; NGX_DECLINED: it cannot be reached */

static ngx_int_t
ngx_mesh_bucket_try(ngx_mesh_bucket_t *b, ngx_mesh_limited_t *caller,
    ngx_msec_t now, ngx_msec_t *wait)
{
    uint64_t           excess;
    ngx_int_t          rc;
    ngx_mesh_limit_t  *limit;

    limit = caller->limit;
    *wait = 0;

    if (ngx_mesh_lock(&b->lock) == NGX_BUSY) {
        return NGX_DECLINED;
    }

    if (b->key != caller->key) {
        ngx_mesh_unlock(&b->lock);
        return NGX_AGAIN;
    }

    excess = ngx_mesh_bucket_excess(b, limit, now);

    if (excess > limit->burst) {
        *wait = ngx_mesh_bucket_time(limit, excess - limit->burst);
        rc = NGX_BUSY;

    } else {
        b->excess = excess;
        b->last = b->fresh ? now : ngx_max(now, b->last);
        b->empty = b->last + 1
                   + ngx_mesh_bucket_time(limit,
                                          excess + NGX_MESH_BUCKET_REQUEST);
        b->fresh = 0;

        if (excess > limit->delay) {
            *wait = ngx_mesh_bucket_time(limit, excess - limit->delay);
        }

        rc = NGX_OK;
    }

    ngx_mesh_unlock(&b->lock);

    return rc;
}


static ngx_int_t
ngx_mesh_bucket_missed(ngx_mesh_limited_t *caller)
{
    ngx_atomic_uint_t  n;

    n = ngx_atomic_fetch_add(&ngx_mesh_bucket_map->missed, 1);

    if (n == 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "mesh: no room for another bucket of a rate limit: "
                      "requests pass without limit, the first one by \"%V\"",
                      &caller->limit->policy->name);
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_mesh_bucket_take(ngx_mesh_limited_t *caller, ngx_msec_t now,
    ngx_msec_t *wait)
{
    ngx_int_t           rc;
    ngx_mesh_bucket_t  *b;

    b = caller->bucket;
    rc = b ? ngx_mesh_bucket_try(b, caller, now, wait) : NGX_AGAIN;

    if (rc == NGX_AGAIN) {

        if (ngx_mesh_lock(&ngx_mesh_bucket_map->lock) == NGX_BUSY) {
            return ngx_mesh_bucket_missed(caller);
        }

        b = ngx_mesh_bucket_find(caller->key, now);

        ngx_mesh_unlock(&ngx_mesh_bucket_map->lock);

        caller->bucket = b;
        rc = b ? ngx_mesh_bucket_try(b, caller, now, wait) : NGX_AGAIN;
    }

    return (rc == NGX_AGAIN || rc == NGX_DECLINED)
           ? ngx_mesh_bucket_missed(caller) : rc;
}


ngx_uint_t
ngx_mesh_buckets_missed(void)
{
    return ngx_mesh_bucket_map ? ngx_mesh_bucket_map->missed : 0;
}
