
/*
 * Taking over what the agent wrote: each of the three files by itself.
 *
 * The worker that is told reads the files and raises the generation in the
 * counters file; the others see that before they route and read, too.
 */


#include "ngx_mesh_counters.h"
#include "ngx_mesh_file.h"
#include "ngx_mesh_identity.h"
#include "ngx_mesh_table.h"


#define NGX_MESH_PEM_MAX  (4 * 1024 * 1024)


static ngx_mesh_file_t  ngx_mesh_state_file =
    { "state", NGX_MESH_DOCUMENT_MAX, { 0 }, 0 };
static ngx_mesh_file_t  ngx_mesh_svid_file =
    { "svid.pem", NGX_MESH_PEM_MAX, { 0 }, 0 };
static ngx_mesh_file_t  ngx_mesh_bundle_file =
    { "bundle.pem", NGX_MESH_PEM_MAX, { 0 }, 0 };


static void
ngx_mesh_changed(void)
{
    if (ngx_mesh.changed) {
        ngx_mesh.changed();
    }
}


/* what is open, by a table of now that refuses somebody */

static void
ngx_mesh_review(ngx_mesh_table_t *t)
{
    if (t->transparent
        || (t->mode != NGX_MESH_STRICT && !t->access.enforced))
    {
        return;
    }

    if (ngx_mesh.review) {
        ngx_mesh.review();
    }

    if (ngx_mesh.review_http) {
        ngx_mesh.review_http();
    }
}


static ngx_int_t
ngx_mesh_take_state(ngx_pool_t *pool, ngx_str_t *content, ngx_str_t *error)
{
    ngx_mesh_table_t  *t, *old;

    t = ngx_mesh_parse(pool, content, error);
    if (t == NULL) {
        return NGX_ERROR;
    }

    if (ngx_mesh_table_link(t) != NGX_OK) {
        ngx_mesh_table_unlink(t);
        error->len = ngx_sprintf(error->data, "state: out of memory")
                     - error->data;
        return NGX_ERROR;
    }

    old = ngx_mesh.table;
    ngx_mesh.table = t;

    ngx_mesh_log_level(t->error_log_level);

    /* before the pools of what is gone are closed */

    if (old && ngx_mesh.replaced) {
        ngx_mesh.replaced(t, old);
    }

    ngx_mesh_changed();

    ngx_mesh_review(t);

    if (old) {
        ngx_mesh_table_release(old);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_take_svid(ngx_pool_t *pool, ngx_str_t *content, ngx_str_t *error)
{
    ngx_mesh_svid_t  *svid;

    svid = ngx_mesh_svid_read(content, error);

    ngx_explicit_memzero(content->data, content->len);

    if (svid == NULL) {
        return NGX_ERROR;
    }

    if (ngx_mesh.svid) {
        ngx_mesh_svid_free(ngx_mesh.svid);
    }

    ngx_mesh.svid = svid;
    ngx_destroy_pool(pool);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_take_bundle(ngx_pool_t *pool, ngx_str_t *content, ngx_str_t *error)
{
    ngx_mesh_bundle_t  *bundle;

    bundle = ngx_mesh_bundle_read(content, error);
    if (bundle == NULL) {
        return NGX_ERROR;
    }

    if (ngx_mesh.bundle) {
        ngx_mesh_bundle_free(ngx_mesh.bundle);
    }

    ngx_mesh.bundle = bundle;
    ngx_mesh_changed();
    ngx_destroy_pool(pool);

    return NGX_OK;
}


/* the trust material first: a table may need it at once */

static ngx_uint_t
ngx_mesh_take_all(ngx_str_t *errors, size_t size, ngx_log_t *log)
{
    u_char       buf[NGX_MESH_ERROR_MAX], *p, *last;
    ngx_int_t    rc;
    ngx_str_t    error;
    ngx_uint_t   i, taken;

    static const struct {
        ngx_mesh_file_t   *file;
        ngx_mesh_take_pt   take;
    } files[] = {
        { &ngx_mesh_bundle_file, ngx_mesh_take_bundle },
        { &ngx_mesh_svid_file, ngx_mesh_take_svid },
        { &ngx_mesh_state_file, ngx_mesh_take_state }
    };

    taken = 0;
    p = errors->data;
    last = errors->data + size;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {

        error.data = buf;
        error.len = 0;

        rc = ngx_mesh_file_take(files[i].file, files[i].take, &error, log);

        if (rc == NGX_OK) {
            taken++;

        } else if (rc == NGX_ERROR) {
            p = ngx_slprintf(p, last, "%V\n", &error);
        }
    }

    errors->len = p - errors->data;

    return taken;
}


/*
 * A file may lie there before its writer says so.  If this worker came upon
 * it while it took over something else, the others were not told.
 */

static ngx_uint_t  ngx_mesh_taken_early;


ngx_int_t
ngx_mesh_apply(ngx_str_t *errors, size_t size, ngx_log_t *log)
{
    ngx_uint_t  taken;

    taken = ngx_mesh_take_all(errors, size, log);

    if (taken == 0 && ngx_mesh_taken_early) {
        taken = 1;
    }

    ngx_mesh_taken_early = 0;

    if (taken) {
        ngx_mesh.seen = ngx_atomic_fetch_add(&ngx_mesh.counters->generation,
                                             taken)
                        + taken;
    }

    return errors->len ? NGX_DECLINED : NGX_OK;
}


/* at the start of a worker: what was applied last */

ngx_uint_t
ngx_mesh_load(ngx_log_t *log)
{
    u_char     buf[3 * NGX_MESH_ERROR_MAX];
    ngx_str_t  errors;

    errors.data = buf;
    ngx_mesh.seen = ngx_mesh.counters->generation;

    return ngx_mesh_take_all(&errors, sizeof(buf), log);
}


/* take over what another worker was told of */

void
ngx_mesh_refresh(ngx_log_t *log)
{
    if (ngx_mesh.counters->generation != ngx_mesh.seen) {
        ngx_mesh_taken_early |= ngx_mesh_load(log);
    }
}


ngx_uint_t
ngx_mesh_ready(const char **reason)
{
    ngx_mesh_table_t  *t;

    t = ngx_mesh.table;

    if (t == NULL || (t->revision.len == 1 && t->revision.data[0] == '-')) {
        *reason = "no configuration yet";
        return 0;
    }

    if (t->transparent || t->mode == NGX_MESH_OFF) {
        return 1;
    }

    if (ngx_mesh.svid == NULL) {
        *reason = "no SVID yet";
        return 0;
    }

    if (ngx_mesh.bundle == NULL) {
        *reason = "no trust bundle yet";
        return 0;
    }

    return 1;
}
