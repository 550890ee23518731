
/*
 * What every driver has: the module without a worker around it, documents,
 * and a clock that the test turns.  The table of the latest document that was
 * taken is "ngx_mesh.table".
 */


#include "driver.h"


static u_char  driver_error[NGX_MESH_ERROR_MAX + 1];


/* once: circuits and buckets outlive tables, as those of a sidecar do */

void
driver_start(void)
{
    core_init();
    ngx_mesh_peers_init();

    (void) ngx_mesh_circuits_map(ngx_cycle->log);
    (void) ngx_mesh_buckets_map(ngx_cycle->log);
}


void
driver_seed(unsigned seed)
{
    srandom(seed);
}


void
driver_clock(ngx_msec_t forward)
{
    ngx_current_msec += forward;
}


/* the endpoints of the next document are new ones */

void
driver_forget(void)
{
    if (ngx_mesh.table) {
        ngx_mesh_table_release(ngx_mesh.table);
        ngx_mesh.table = NULL;
    }

    ngx_mesh_peers_init();
}


/* empty: taken; else what is wrong with the document */

const char *
driver_open(const char *document)
{
    ngx_str_t          text, error;
    ngx_pool_t        *pool;
    ngx_mesh_table_t  *t;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    error.data = driver_error;
    error.len = 0;
    text.len = ngx_strlen(document);
    text.data = ngx_pnalloc(pool, text.len);
    ngx_memcpy(text.data, document, text.len);

    t = ngx_mesh_parse(pool, &text, &error);

    if (t == NULL) {
        driver_error[error.len] = '\0';
        ngx_destroy_pool(pool);
        return (char *) driver_error;
    }

    (void) ngx_mesh_table_link(t);

    if (ngx_mesh.table) {
        ngx_mesh_table_release(ngx_mesh.table);
    }

    ngx_mesh.table = t;

    return "";
}
