
/*
 * The document "state", all of it: lines, fields, numbers, addresses, SPIFFE
 * IDs, and the table that comes of it.
 */


#include "fuzz.h"
#include "ngx_mesh_circuit.h"
#include "ngx_mesh_limit.h"
#include "ngx_mesh_peer.h"
#include "ngx_mesh_split.h"
#include "ngx_mesh_table.h"


static ngx_uint_t
target_usable(ngx_mesh_endpoint_t *endpoint, void *data)
{
    return 1;
}


static ngx_uint_t
target_fits(ngx_mesh_split_t *split, void *data)
{
    return split->nmatches != 1;
}


/* a share without endpoints is passed over; a fallback is called as it is */

static ngx_uint_t
target_stands_in(ngx_mesh_table_t *t, ngx_mesh_upstream_t *u)
{
    ngx_uint_t  i;

    for (i = 0; i < t->nbreakers; i++) {
        if (t->breakers[i].fallback == u) {
            return 1;
        }
    }

    return 0;
}


/*
 * Every route leads to an upstream of this table, which can be balanced, and
 * which is answered for by one of this table
 */

static void
target_use(ngx_mesh_table_t *t)
{
    ngx_int_t             rc;
    ngx_uint_t            i;
    ngx_mesh_route_t     *r;
    ngx_mesh_endpoint_t  *e;
    ngx_mesh_direction_t  way;

    for (i = 0; i < t->nroutes; i++) {

        r = ngx_mesh_table_find(t, &t->routes[i].addr);

        fuzz_must(r == &t->routes[i]);
        fuzz_must(r->upstream >= t->upstreams);
        fuzz_must(r->upstream < t->upstreams + t->nupstreams);

        e = ngx_mesh_balance(r->upstream, target_usable, NULL);

        fuzz_must((e == NULL) == (r->upstream->nendpoints == 0));
        fuzz_must(e == NULL || e->peer != NULL);

        rc = ngx_mesh_direct(&way, r->upstream, target_fits, NULL);

        /* the error of a route before may have opened a circuit of this one */

        fuzz_must((rc == NGX_OK && way.open == NULL)
                  || (rc == NGX_DECLINED && way.open != NULL));
        fuzz_must(way.upstream >= t->upstreams);
        fuzz_must(way.upstream < t->upstreams + t->nupstreams);
        fuzz_must(rc == NGX_DECLINED || way.upstream == r->upstream
                  || way.upstream->nendpoints
                  || target_stands_in(t, way.upstream));

        ngx_mesh_directed_error(&way);
    }
}


static ngx_int_t
target_header(void *data, ngx_mesh_criterion_t *c, ngx_str_t *value)
{
    *value = c->name;

    return NGX_OK;
}


/* whoever is named is judged, and by a policy of this table */

static void
target_judge(ngx_mesh_table_t *t)
{
    ngx_str_t              method = ngx_string("GET");
    ngx_uint_t             i;
    ngx_mesh_subject_t     subject;
    ngx_mesh_judgement_t   j;

    for (i = 0; i < t->nidentities; i++) {

        subject.path = &t->identities[i];
        subject.method = &method;
        subject.header = target_header;
        subject.data = NULL;

        ngx_mesh_access_judge(&t->access, &t->identities[i], 8080,
                              i % 2 ? NULL : &subject, &j);

        fuzz_must(j.policy == NULL || j.reason != NULL);
        fuzz_must(j.policy == NULL
                  || (j.policy >= t->policies
                      && j.policy < t->policies + t->npolicies));
    }
}


/* whoever a limit names is found with it; no number makes the clock go wrong */

static void
target_limit(ngx_mesh_limits_t *ls)
{
    ngx_int_t            rc;
    ngx_uint_t           i, n;
    ngx_msec_t           wait;
    ngx_mesh_limited_t  *caller, *found;

    for (i = 0; i < ls->ncallers; i++) {
        caller = &ls->callers[i];

        for (found = ngx_mesh_limits_find(ls, &caller->pod);
             found != caller;
             found = found->next)
        {
            fuzz_must(found != NULL);
        }

        (void) ngx_mesh_limit_holds_for_port(caller->limit, 8080);

        for (n = 0; n < 3; n++) {
            rc = ngx_mesh_bucket_take(caller, ngx_current_msec + n, &wait);

            fuzz_must(rc == NGX_OK || rc == NGX_BUSY || rc == NGX_DECLINED);
            fuzz_must(wait <= NGX_MESH_LIMIT_BURST_MAX * (uint64_t) 1000000
                              * 1000);
        }
    }
}


static void
target_break(ngx_mesh_table_t *t)
{
    ngx_uint_t               i;
    ngx_mesh_guard_t        *g;
    ngx_mesh_circuit_view_t  v;

    for (i = 0; i < t->nbreakers; i++) {
        g = &t->breakers[i].guard;

        ngx_mesh_circuit_error(g);
        ngx_mesh_circuit_view(g, &v);

        fuzz_must(v.closes <= NGX_MESH_CIRCUIT_MSEC_MAX);
        fuzz_must((v.closes > 0) == ngx_mesh_circuit_is_open(g));
        fuzz_must(g->errors != 1 || g->window == 0 || g->circuit == NULL
                  || ngx_mesh_circuit_is_open(g));
    }

    fuzz_must(ngx_mesh_circuits_lost(t, NULL) <= t->nbreakers);
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char             buf[NGX_MESH_ERROR_MAX];
    ngx_str_t          text, error;
    ngx_pool_t        *pool;
    ngx_mesh_table_t  *t;

    core_init();
    ngx_mesh_peers_init();
    fuzz_must(ngx_mesh_circuits_map(ngx_cycle->log) == NGX_OK);
    fuzz_must(ngx_mesh_buckets_map(ngx_cycle->log) == NGX_OK);

    pool = ngx_create_pool(4096, ngx_cycle->log);

    text.len = size;
    text.data = ngx_pnalloc(pool, size);
    ngx_memcpy(text.data, data, size);

    error.data = buf;
    error.len = 0;

    t = ngx_mesh_parse(pool, &text, &error);

    if (t == NULL) {
        fuzz_must(error.len > 0 && error.len <= NGX_MESH_ERROR_MAX);
        ngx_destroy_pool(pool);
        return 0;
    }

    fuzz_must(ngx_mesh_table_link(t) == NGX_OK);
    target_use(t);
    target_judge(t);
    target_limit(&t->limits);
    target_break(t);
    ngx_mesh_table_release(t);

    return 0;
}
