
/*
 * The load balancing methods (contract 6.balancing).  A few passes over the
 * endpoints at most; the counts are those of this worker.
 *
 * "least" methods take the lowest score; endpoints of equal score take turns
 * because the pass starts behind the one that was taken last.
 */


#include "ngx_mesh_peer.h"


typedef uint64_t (*ngx_mesh_score_pt)(ngx_mesh_peer_t *peer);


/* who is taken if nobody better is left */

typedef enum {
    NGX_MESH_BEST = 0,
    NGX_MESH_ALSO_WARMING,                   /* first connections are made */
    NGX_MESH_ALSO_FAILING
} ngx_mesh_patience_e;


typedef struct {
    ngx_mesh_usable_pt        usable;
    void                     *data;
    ngx_mesh_patience_e       patience;
} ngx_mesh_choice_t;


static uint64_t ngx_mesh_score_conn(ngx_mesh_peer_t *peer);
static uint64_t ngx_mesh_score_header(ngx_mesh_peer_t *peer);
static uint64_t ngx_mesh_score_last_byte(ngx_mesh_peer_t *peer);
static uint64_t ngx_mesh_score_inflight(ngx_mesh_peer_t *peer);


static uint64_t
ngx_mesh_average(ngx_mesh_average_t *a)
{
    ngx_uint_t  halvings;

    halvings = (ngx_current_msec - a->updated) / NGX_MESH_HALF_LIFE;

    return halvings < 64 ? a->average >> halvings : 0;
}


/* an exponentially weighted mean; a new measurement weighs one quarter */

void
ngx_mesh_average_add(ngx_mesh_average_t *a, ngx_msec_t ms)
{
    uint64_t  now, sample;

    now = ngx_mesh_average(a);
    sample = (uint64_t) ms << 8;

    a->average = now ? now - now / 4 + sample / 4 : sample;
    a->updated = ngx_current_msec;
}


/* an endpoint without measurements counts as answering within 1 ms */

static uint64_t
ngx_mesh_score_time(ngx_mesh_peer_t *peer, uint64_t average)
{
    return ngx_max(average, 256) * (peer->active + 1);
}


static uint64_t
ngx_mesh_score_conn(ngx_mesh_peer_t *peer)
{
    return peer->active;
}


static uint64_t
ngx_mesh_score_header(ngx_mesh_peer_t *peer)
{
    return ngx_mesh_score_time(peer, ngx_mesh_average(&peer->header));
}


static uint64_t
ngx_mesh_score_last_byte(ngx_mesh_peer_t *peer)
{
    return ngx_mesh_score_time(peer, ngx_mesh_average(&peer->last_byte));
}


/* requests that already take longer than the mean raise it */

static uint64_t
ngx_mesh_score_inflight(ngx_mesh_peer_t *peer)
{
    uint64_t  average, waiting;

    average = ngx_mesh_average(&peer->last_byte);

    if (peer->active) {
        waiting = ((uint64_t) (ngx_current_msec * peer->active
                               - peer->started)
                   / peer->active) << 8;
        average = ngx_max(average, waiting);
    }

    return ngx_mesh_score_time(peer, average);
}


static ngx_uint_t
ngx_mesh_is_choice(ngx_mesh_choice_t *c, ngx_mesh_endpoint_t *e)
{
    if (c->patience < NGX_MESH_ALSO_FAILING
        && ngx_mesh_peer_is_failing(e->peer))
    {
        return 0;
    }

    if (c->patience < NGX_MESH_ALSO_WARMING
        && ngx_mesh_peer_is_warming(e->peer))
    {
        return 0;
    }

    return c->usable(e, c->data);
}


static ngx_mesh_endpoint_t *
ngx_mesh_round_robin(ngx_mesh_upstream_t *u, ngx_mesh_choice_t *c)
{
    ngx_uint_t            i, n;
    ngx_mesh_endpoint_t  *e;

    for (i = 0; i < u->nendpoints; i++) {
        n = (u->next + i) % u->nendpoints;
        e = &u->endpoints[n];

        if (ngx_mesh_is_choice(c, e)) {
            u->next = (n + 1) % u->nendpoints;
            return e;
        }
    }

    return NULL;
}


static ngx_mesh_endpoint_t *
ngx_mesh_least(ngx_mesh_upstream_t *u, ngx_mesh_choice_t *c,
    ngx_mesh_score_pt score)
{
    uint64_t              lowest, s;
    ngx_uint_t            i;
    ngx_mesh_endpoint_t  *e, *best;

    best = NULL;
    lowest = 0;

    for (i = 0; i < u->nendpoints; i++) {
        e = &u->endpoints[(u->next + i) % u->nendpoints];

        if (!ngx_mesh_is_choice(c, e)) {
            continue;
        }

        s = score(e->peer);

        if (best == NULL || s < lowest) {
            best = e;
            lowest = s;
        }
    }

    if (best) {
        u->next = (best - u->endpoints + 1) % u->nendpoints;
    }

    return best;
}


/* the choice of number n, counted from 0, and how many choices there are */

static ngx_mesh_endpoint_t *
ngx_mesh_choice_number(ngx_mesh_upstream_t *u, ngx_mesh_choice_t *c,
    ngx_mesh_endpoint_t *other, ngx_uint_t n, ngx_uint_t *choices)
{
    ngx_uint_t            i;
    ngx_mesh_endpoint_t  *e;

    *choices = 0;

    for (i = 0; i < u->nendpoints; i++) {
        e = &u->endpoints[i];

        if (e != other && ngx_mesh_is_choice(c, e)) {

            if (*choices == n) {
                return e;
            }

            (*choices)++;
        }
    }

    return NULL;
}


static ngx_mesh_endpoint_t *
ngx_mesh_random(ngx_mesh_upstream_t *u, ngx_mesh_choice_t *c,
    ngx_mesh_endpoint_t *other)
{
    ngx_uint_t            i, tries, choices;
    ngx_mesh_endpoint_t  *e;

    /* most often the first is one; counting them is for where few are */

    for (tries = 0; tries < 4; tries++) {
        i = (ngx_uint_t) ngx_random() % u->nendpoints;
        e = &u->endpoints[i];

        if (e != other && ngx_mesh_is_choice(c, e)) {
            return e;
        }
    }

    (void) ngx_mesh_choice_number(u, c, other, u->nendpoints, &choices);

    if (choices == 0) {
        return NULL;
    }

    return ngx_mesh_choice_number(u, c, other,
                                  (ngx_uint_t) ngx_random() % choices, &i);
}


static ngx_mesh_endpoint_t *
ngx_mesh_random_two(ngx_mesh_upstream_t *u, ngx_mesh_choice_t *c,
    ngx_mesh_score_pt score)
{
    ngx_mesh_endpoint_t  *a, *b;

    a = ngx_mesh_random(u, c, NULL);

    if (a == NULL || u->nendpoints == 1) {
        return a;
    }

    b = ngx_mesh_random(u, c, a);

    if (b == NULL) {
        return a;
    }

    return score(b->peer) < score(a->peer) ? b : a;
}


static ngx_mesh_endpoint_t *
ngx_mesh_balance_by(ngx_mesh_upstream_t *u, ngx_mesh_choice_t *c)
{
    switch (u->lb) {

    case NGX_MESH_LEAST_CONN:
        return ngx_mesh_least(u, c, ngx_mesh_score_conn);

    case NGX_MESH_LEAST_TIME:
        return ngx_mesh_least(u, c, ngx_mesh_score_header);

    case NGX_MESH_LEAST_TIME_LAST_BYTE:
        return ngx_mesh_least(u, c, ngx_mesh_score_last_byte);

    case NGX_MESH_LEAST_TIME_INFLIGHT:
        return ngx_mesh_least(u, c, ngx_mesh_score_inflight);

    case NGX_MESH_RANDOM:
        return ngx_mesh_random(u, c, NULL);

    case NGX_MESH_RANDOM_TWO_LEAST_CONN:
        return ngx_mesh_random_two(u, c, ngx_mesh_score_conn);

    case NGX_MESH_RANDOM_TWO_LEAST_TIME:
        return ngx_mesh_random_two(u, c, ngx_mesh_score_header);

    case NGX_MESH_RANDOM_TWO_LAST_BYTE:
        return ngx_mesh_random_two(u, c, ngx_mesh_score_last_byte);

    default: /* NGX_MESH_ROUND_ROBIN */
        return ngx_mesh_round_robin(u, c);
    }
}


/* NULL: none is usable; those that come, then those that fail, come last */

ngx_mesh_endpoint_t *
ngx_mesh_balance(ngx_mesh_upstream_t *u, ngx_mesh_usable_pt usable,
    void *data)
{
    ngx_mesh_choice_t     c;
    ngx_mesh_endpoint_t  *e;

    if (u->nendpoints == 0) {
        return NULL;
    }

    c.usable = usable;
    c.data = data;
    c.patience = NGX_MESH_BEST;

    e = ngx_mesh_balance_by(u, &c);

    while (e == NULL && c.patience < NGX_MESH_ALSO_FAILING) {
        c.patience++;
        e = ngx_mesh_balance_by(u, &c);
    }

    return e;
}
