
/*
 * The head of a request, read by nginx's own parser into buffers that end
 * where its bytes do, as nginx reads it: the first byte of the input says how
 * many of the others come into the first one.  What the module says of its
 * syntax, and finds in its headers, must be what a look at the bytes tells.
 */


#include "fuzz.h"
#include "ngx_http_mesh.h"


#define TARGET_HEADERS  200
#define TARGET_VALUE    65536


typedef struct {
    ngx_http_request_t        request;
    ngx_http_connection_t     http;
    ngx_connection_t          connection;
    ngx_buf_t                 buffers[2];
    ngx_chain_t               link;
    ngx_uint_t                bare;          /* lines, beyond doubt */
    ngx_uint_t                doubtful;      /* value, blank, line feed */
    const u_char             *rest;          /* not read yet */
    size_t                    size;
} target_t;


static ngx_http_mesh_ctx_t  target_ctx;


ngx_http_mesh_ctx_t *
ngx_http_mesh_ctx(ngx_http_request_t *r)
{
    return &target_ctx;
}


static void
target_read(target_t *t, ngx_buf_t *b, const u_char *old, size_t kept,
    size_t size)
{
    size = ngx_min(size, t->size);

    b->start = malloc(kept + size + !(kept + size));
    ngx_memcpy(b->start, old, kept);
    ngx_memcpy(b->start + kept, t->rest, size);

    b->pos = b->start + kept;
    b->last = b->pos + size;
    b->end = b->last;

    t->rest += size;
    t->size -= size;
}


/* nginx moves what it has not set yet, too: there it is but a number */

static void
target_move(u_char **p, u_char *old, u_char *start)
{
    if (*p) {
        *p = start + (*p - old);
    }
}


/* as ngx_http_alloc_large_header_buffer(), once: the second takes all */

static ngx_int_t
target_more(target_t *t)
{
    u_char              *old;
    size_t               kept;
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = &t->request;
    b = &t->buffers[1];

    if (r->header_in == b) {
        return NGX_ERROR;
    }

    old = r->header_name_start;
    kept = r->state ? r->header_in->pos - old : 0;

    target_read(t, b, old, kept, t->size);

    if (kept) {
        r->header_name_start = b->start;
        target_move(&r->header_name_end, old, b->start);
        target_move(&r->header_start, old, b->start);
        target_move(&r->header_end, old, b->start);
    }

    t->link.buf = b;
    t->http.busy = &t->link;
    r->header_in = b;

    return NGX_OK;
}


static void
target_look(target_t *t)
{
    u_char              *feed;
    ngx_http_request_t  *r;

    r = &t->request;
    feed = r->header_in->pos - 1;

    if (feed == r->header_end || feed[-1] != CR) {

        if (feed == r->header_end + 1) {
            t->doubtful++;

        } else {
            t->bare++;
        }
    }
}


static ngx_int_t
target_add(ngx_http_request_t *r)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_in.headers);
    fuzz_must(h != NULL);

    h->hash = r->header_hash;
    h->key.len = r->header_name_end - r->header_name_start;
    h->key.data = r->header_name_start;
    h->key.data[h->key.len] = '\0';
    h->value.len = r->header_end - r->header_start;
    h->value.data = r->header_start;
    h->value.data[h->value.len] = '\0';

    h->lowcase_key = ngx_pnalloc(r->pool, h->key.len + 1);
    ngx_strlow(h->lowcase_key, h->key.data, h->key.len);

    if (h->key.len == 4 && ngx_memcmp(h->lowcase_key, "host", 4) == 0) {

        if (r->headers_in.host) {
            return NGX_ERROR;
        }

        r->headers_in.host = h;
    }

    return NGX_OK;
}


/* NGX_ERROR: nginx refuses it, or waits for more */

static ngx_int_t
target_parse(target_t *t)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = &t->request;

    rc = ngx_http_parse_request_line(r, r->header_in);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    r->request_line.data = r->request_start;
    r->request_line.len = r->request_end - r->request_start;

    if (r->http_version < NGX_HTTP_VERSION_10) {
        return NGX_ERROR;
    }

    for ( ;; ) {

        if (r->header_in->pos == r->header_in->last
            && target_more(t) != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = ngx_http_parse_header_line(r, r->header_in, 1);

        switch (rc) {

        case NGX_OK:
            target_look(t);

            if (target_add(r) != NGX_OK) {
                return NGX_ERROR;
            }

            break;

        case NGX_AGAIN:
            break;

        default:
            return rc == NGX_HTTP_PARSE_HEADER_DONE ? NGX_OK : NGX_ERROR;
        }
    }
}


static void
target_syntax(target_t *t, ngx_uint_t headers)
{
    ngx_int_t            rc;
    const char          *reason;
    ngx_http_request_t  *r;

    r = &t->request;
    reason = NULL;
    rc = ngx_http_mesh_check_syntax(r, &reason);

    fuzz_must((rc == NGX_OK) == (reason == NULL));

    if (headers > 100) {
        fuzz_must(rc == 431);

    } else if (t->bare || *r->header_end != CR || *r->request_end != CR) {
        fuzz_must(rc == NGX_HTTP_BAD_REQUEST);

    } else if (r->schema_start == NULL && t->doubtful == 0) {
        fuzz_must(rc == NGX_OK);
    }
}


/* what a match is given for a name, against a plain loop over the headers */

static void
target_header(target_t *t, ngx_str_t *name)
{
    size_t                 len;
    ngx_int_t              rc;
    ngx_str_t              value;
    ngx_uint_t             i, n;
    ngx_list_part_t       *part;
    ngx_table_elt_t       *h;
    ngx_mesh_subject_t     subject;
    ngx_mesh_criterion_t   c;
    static u_char          joined[TARGET_VALUE * 2];

    ngx_memzero(&c, sizeof(ngx_mesh_criterion_t));
    c.name = *name;

    ngx_http_mesh_subject(&t->request, &subject);
    rc = subject.header(subject.data, &c, &value);

    for (n = 0, len = 0, part = &t->request.headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len != name->len
                || ngx_strncasecmp(h[i].key.data, name->data, name->len) != 0)
            {
                continue;
            }

            if (n++) {
                ngx_memcpy(joined + len, ", ", 2);
                len += 2;
            }

            ngx_memcpy(joined + len, h[i].value.data, h[i].value.len);
            len += h[i].value.len;
        }
    }

    if ((name->len == 20
         && ngx_memcmp(name->data, "x-mesh-peer-identity", 20) == 0)
        || (name->len == 23
            && ngx_memcmp(name->data, "x-forwarded-client-cert", 23) == 0))
    {
        fuzz_must(rc == NGX_DECLINED);
        return;
    }

    fuzz_must(rc == (n ? NGX_OK : NGX_DECLINED));
    fuzz_must(n == 0 || (value.len == len
                         && ngx_memcmp(value.data, joined, len) == 0));
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    target_t          *t;
    ngx_uint_t         i, headers;
    ngx_pool_t        *pool;
    ngx_list_part_t   *part;
    ngx_table_elt_t   *h;

    if (size == 0 || size > TARGET_VALUE) {
        return 0;
    }

    core_init();
    ngx_memzero(&target_ctx, sizeof(target_ctx));

    pool = ngx_create_pool(4096, ngx_cycle->log);
    t = ngx_pcalloc(pool, sizeof(target_t));

    t->rest = data + 1;
    t->size = size - 1;

    t->request.pool = pool;
    t->request.connection = &t->connection;
    t->request.http_connection = &t->http;
    t->request.header_in = &t->buffers[0];
    t->connection.buffer = &t->buffers[0];
    target_ctx.request = &t->request;

    (void) ngx_list_init(&t->request.headers_in.headers, pool, 20,
                         sizeof(ngx_table_elt_t));

    target_read(t, &t->buffers[0], NULL, 0, data[0] ? data[0] : size);

    if (target_parse(t) == NGX_OK) {

        headers = 0;

        for (part = &t->request.headers_in.headers.part;
             part;
             part = part->next)
        {
            headers += part->nelts;
        }

        target_syntax(t, headers);

        part = &t->request.headers_in.headers.part;
        h = part->elts;

        for (i = 0; i < part->nelts && headers <= TARGET_HEADERS; i++) {
            target_header(t, &(ngx_str_t) { h[i].key.len, h[i].lowcase_key });
            target_header(t, &(ngx_str_t) { h[i].key.len, h[i].lowcase_key });
        }

        target_header(t, &(ngx_str_t) ngx_string("x-nobody-says-this"));
    }

    free(t->buffers[0].start);
    free(t->buffers[1].start);
    ngx_destroy_pool(pool);

    return 0;
}
