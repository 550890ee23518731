
/*
 * Which sources are known as injected: they speak TLS at once, so the first
 * bytes of theirs are waited for.  Addresses, sorted once when a table is
 * made.
 */


#include "ngx_mesh_table.h"


#define NGX_MESH_IP_SIZE  16


static int
ngx_mesh_injected_compare(const void *a, const void *b)
{
    return ngx_memcmp(a, b, NGX_MESH_IP_SIZE);
}


void
ngx_mesh_injected_add(ngx_mesh_table_t *t, ngx_mesh_addr_t *addr)
{
    ngx_memcpy(t->injected + t->ninjected * NGX_MESH_IP_SIZE, addr->ip,
               NGX_MESH_IP_SIZE);
    t->ninjected++;
}


void
ngx_mesh_injected_sort(ngx_mesh_table_t *t)
{
    qsort(t->injected, t->ninjected, NGX_MESH_IP_SIZE,
          ngx_mesh_injected_compare);
}


ngx_uint_t
ngx_mesh_is_injected(ngx_mesh_table_t *t, struct sockaddr *source)
{
    ngx_mesh_addr_t  addr;

    return ngx_mesh_addr_of(source, &addr) == NGX_OK
           && bsearch(addr.ip, t->injected, t->ninjected, NGX_MESH_IP_SIZE,
                      ngx_mesh_injected_compare)
              != NULL;
}
