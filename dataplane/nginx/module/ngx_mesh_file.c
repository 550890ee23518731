
/*
 * A file of the state directory, read as one piece.  A good one replaces what
 * was there, a malformed one changes nothing.
 */


#include "ngx_mesh_file.h"
#include <openssl/evp.h>


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


ngx_int_t
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
