
/*
 * The document "state", all of it: lines, fields, numbers, addresses, SPIFFE
 * IDs, and the table that comes of it.
 */


#include "fuzz.h"
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


/*
 * Every route leads to an upstream of this table, which can be balanced, and
 * which is answered for by one of this table
 */

static void
target_use(ngx_mesh_table_t *t)
{
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

        fuzz_must(ngx_mesh_direct(&way, r->upstream, target_fits, NULL)
                  == NGX_OK);
        fuzz_must(way.upstream >= t->upstreams);
        fuzz_must(way.upstream < t->upstreams + t->nupstreams);
        fuzz_must(way.upstream == r->upstream || way.upstream->nendpoints);

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


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char             buf[NGX_MESH_ERROR_MAX];
    ngx_str_t          text, error;
    ngx_pool_t        *pool;
    ngx_mesh_table_t  *t;

    core_init();
    ngx_mesh_peers_init();

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
    ngx_mesh_table_release(t);

    return 0;
}
