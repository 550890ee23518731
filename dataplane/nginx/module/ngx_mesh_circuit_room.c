
/*
 * Circuits that a table wants and that there is no room for.
 */


#include "ngx_mesh_split.h"


/* a call that no circuit stops is better than one that all stop */

ngx_uint_t
ngx_mesh_circuits_lost(ngx_mesh_table_t *t, ngx_mesh_policy_t **first)
{
    ngx_uint_t           i, n;
    ngx_mesh_breaker_t  *b;

    n = 0;

    for (i = 0; i < t->nbreakers; i++) {
        b = &t->breakers[i];

        if (ngx_mesh_circuit_may_open(&b->guard) && b->guard.circuit == NULL
            && n++ == 0 && first)
        {
            *first = b->policy;
        }
    }

    return n;
}


/* told once, until there is room for all again */

void
ngx_mesh_circuits_tell(ngx_mesh_table_t *t)
{
    ngx_uint_t          lost;
    ngx_mesh_policy_t  *first;

    static ngx_uint_t   told;

    lost = ngx_mesh_circuits_lost(t, &first);

    if (lost && !told) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "mesh: no room for %ui circuits: they never open, the "
                      "first of them is that of \"%V\"", lost, &first->name);
    }

    told = (lost != 0);
}
