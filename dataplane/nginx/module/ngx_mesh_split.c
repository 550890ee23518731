
/*
 * Which Service answers a call of another one.  Every call is drawn for by
 * itself, so that shares hold however calls are distributed over workers and
 * connections.
 */


#include "ngx_mesh_split.h"


/* draws are whole numbers below the sum of what counts */

void
ngx_mesh_split_link(ngx_mesh_table_t *t)
{
    uint64_t           below;
    ngx_uint_t         i, n;
    ngx_mesh_share_t  *share;

    for (i = 0; i < t->nsplits; i++) {
        below = 0;

        for (n = 0; n < t->splits[i].nshares; n++) {
            share = &t->splits[i].shares[n];

            if (share->upstream->nendpoints) {
                below += share->weight;
            }

            share->below = below;
        }
    }
}


/* two numbers: weights may add up to more than one of them tells apart */

static uint64_t
ngx_mesh_split_draw(uint64_t below)
{
    uint64_t  n;

    n = (uint64_t) ngx_random() << 31;
    n |= (uint64_t) ngx_random() & 0x7fffffff;

    return n % below;
}


static ngx_mesh_split_t *
ngx_mesh_split_of(ngx_mesh_upstream_t *u, ngx_mesh_fits_pt fits, void *data)
{
    ngx_mesh_split_t  *s;

    for (s = u->splits; s; s = s->next) {
        if (!s->some || (fits && fits(s, data))) {
            return s;
        }
    }

    return NULL;
}


/* NULL: the root's own endpoints answer */

static ngx_mesh_upstream_t *
ngx_mesh_split_pick(ngx_mesh_split_t *s)
{
    uint64_t    draw;
    ngx_uint_t  first, last, middle;

    if (s->nshares == 0 || s->shares[s->nshares - 1].below == 0) {
        return NULL;
    }

    draw = ngx_mesh_split_draw(s->shares[s->nshares - 1].below);

    first = 0;
    last = s->nshares - 1;

    while (first < last) {
        middle = (first + last) / 2;

        if (draw < s->shares[middle].below) {
            last = middle;

        } else {
            first = middle + 1;
        }
    }

    return s->shares[first].upstream == s->root ? NULL
                                                : s->shares[first].upstream;
}


static void
ngx_mesh_guarded(ngx_mesh_direction_t *d, ngx_mesh_upstream_t *u)
{
    if (u->breaker && d->nguards < NGX_MESH_SPLIT_DEPTH + 1) {
        d->guards[d->nguards++] = u->breaker->guard;
    }
}


/* the circuit of u is open: its fallback answers, if it may */

static ngx_int_t
ngx_mesh_fall_back(ngx_mesh_direction_t *d, ngx_mesh_upstream_t *u)
{
    ngx_mesh_upstream_t  *fallback;

    fallback = u->breaker->fallback;

    /* its answers say nothing of whom it stands in for */

    d->nguards = 0;

    if (fallback == NULL
        || (fallback->breaker
            && ngx_mesh_circuit_is_open(&fallback->breaker->guard)))
    {
        d->open = u->breaker->policy;
        return NGX_DECLINED;
    }

    d->upstream = fallback;
    ngx_mesh_guarded(d, fallback);

    return NGX_OK;
}


/*
 * NGX_DECLINED: a circuit is open.  "fits" is NULL where there is no request
 * to look at.  A pod that is called by its own address has the splits and the
 * circuit of its Service, and is itself the root's endpoint.
 */

ngx_int_t
ngx_mesh_direct(ngx_mesh_direction_t *d, ngx_mesh_upstream_t *root,
    ngx_mesh_fits_pt fits, void *data)
{
    ngx_uint_t            depth;
    ngx_mesh_split_t     *s;
    ngx_mesh_upstream_t  *u, *next;

    d->root = root;
    d->open = NULL;
    d->nguards = 0;

    u = root;

    for (depth = 0; ; depth++) {

        d->upstream = u;

        if (u->breaker && ngx_mesh_circuit_is_open(&u->breaker->guard)) {
            return ngx_mesh_fall_back(d, u);
        }

        ngx_mesh_guarded(d, u);

        if (depth == NGX_MESH_SPLIT_DEPTH) {
            return NGX_OK;
        }

        s = ngx_mesh_split_of(u, fits, data);
        next = s ? ngx_mesh_split_pick(s) : NULL;

        if (next == NULL) {
            return NGX_OK;
        }

        u = next;
    }
}


/* the call failed, as its caller saw it */

void
ngx_mesh_directed_error(ngx_mesh_direction_t *d)
{
    ngx_uint_t  i;

    for (i = 0; i < d->nguards; i++) {
        ngx_mesh_circuit_error(&d->guards[i]);
    }
}
