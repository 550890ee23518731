
/*
 * Taking over what the agent wrote: each of the three files by itself, a
 * good one replaces what was there, a malformed one changes nothing.
 *
 * The worker that is told reads the files and raises the generation in the
 * counters file; the others see that before they route and read, too.
 */


#include "ngx_mesh_counters.h"
#include "ngx_mesh_identity.h"
#include "ngx_mesh_table.h"
#include <openssl/evp.h>


#define NGX_MESH_PEM_MAX  (4 * 1024 * 1024)


typedef struct {
    const char               *name;
    size_t                    max;
    u_char                    digest[32];
    unsigned                  known:1;
} ngx_mesh_file_t;


typedef ngx_int_t (*ngx_mesh_take_pt)(ngx_pool_t *pool, ngx_str_t *content,
    ngx_str_t *error);


static ngx_mesh_file_t  ngx_mesh_state_file =
    { "state", NGX_MESH_DOCUMENT_MAX, { 0 }, 0 };
static ngx_mesh_file_t  ngx_mesh_svid_file =
    { "svid.pem", NGX_MESH_PEM_MAX, { 0 }, 0 };
static ngx_mesh_file_t  ngx_mesh_bundle_file =
    { "bundle.pem", NGX_MESH_PEM_MAX, { 0 }, 0 };


static ngx_int_t
ngx_mesh_file_error(ngx_mesh_file_t *file, ngx_err_t err, const char *what,
    ngx_str_t *error)
{
    u_char  *p, *last, text[NGX_MAX_ERROR_STR];

    last = error->data + NGX_MESH_ERROR_MAX;
    p = ngx_slprintf(error->data, last, "%s: %s", file->name, what);

    if (err) {
        p = ngx_slprintf(p, last, ": %*s",
                         (size_t) (ngx_strerror(err, text, sizeof(text))
                                   - text),
                         text);
    }

    error->len = p - error->data;

    return NGX_ERROR;
}


/* NGX_DECLINED: there is no such file yet */

static ngx_int_t
ngx_mesh_file_read(ngx_mesh_file_t *file, ngx_pool_t *pool,
    ngx_str_t *content, ngx_str_t *error)
{
    off_t             size;
    u_char            path[NGX_MAX_PATH];
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_err_t         err;
    ngx_file_info_t   fi;

    (void) ngx_snprintf(path, NGX_MAX_PATH, "%V/%s%Z", &ngx_mesh.directory,
                        file->name);

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        return err == NGX_ENOENT
               ? NGX_DECLINED
               : ngx_mesh_file_error(file, err, ngx_open_file_n, error);
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        err = ngx_errno;
        (void) ngx_close_file(fd);
        return ngx_mesh_file_error(file, err, ngx_fd_info_n, error);
    }

    size = ngx_file_size(&fi);

    if (size > (off_t) file->max) {
        (void) ngx_close_file(fd);
        return ngx_mesh_file_error(file, 0, "too large", error);
    }

    content->len = size;
    content->data = ngx_palloc(pool, size + 1);

    if (content->data == NULL) {
        (void) ngx_close_file(fd);
        return ngx_mesh_file_error(file, 0, "out of memory", error);
    }

    n = pread(fd, content->data, size, 0);
    err = ngx_errno;

    (void) ngx_close_file(fd);

    if (n != (ssize_t) size) {
        return ngx_mesh_file_error(file, n == -1 ? err : 0, "read failed",
                                   error);
    }

    return NGX_OK;
}


/* NGX_OK: taken over; NGX_DECLINED: as before; NGX_ERROR: refused */

static ngx_int_t
ngx_mesh_file_take(ngx_mesh_file_t *file, ngx_mesh_take_pt take,
    ngx_str_t *error, ngx_log_t *log)
{
    u_char       digest[EVP_MAX_MD_SIZE];
    ngx_int_t    rc;
    ngx_str_t    content;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return ngx_mesh_file_error(file, 0, "out of memory", error);
    }

    rc = ngx_mesh_file_read(file, pool, &content, error);

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);
        return rc;
    }

    if (EVP_Digest(content.data, content.len, digest, NULL, EVP_sha256(),
                   NULL)
        != 1)
    {
        ngx_destroy_pool(pool);
        return ngx_mesh_file_error(file, 0, "out of memory", error);
    }

    if (file->known && ngx_memcmp(digest, file->digest, 32) == 0) {
        ngx_destroy_pool(pool);
        return NGX_DECLINED;
    }

    if (take(pool, &content, error) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "mesh: refused: %V", error);
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    ngx_memcpy(file->digest, digest, 32);
    file->known = 1;

    return NGX_OK;
}


static void
ngx_mesh_changed(void)
{
    if (ngx_mesh.changed) {
        ngx_mesh.changed();
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

    if (ngx_mesh.review) {
        ngx_mesh.review();
    }

    if (ngx_mesh.review_http) {
        ngx_mesh.review_http();
    }

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
