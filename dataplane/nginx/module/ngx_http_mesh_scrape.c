
/*
 * A scrape of the metrics, written a little at a time: a sidecar that has
 * called a thousand endpoints has megabytes to tell, and requests must not
 * wait for them.  Each turn of the event loop fills one buffer.
 */


#include "ngx_http_mesh_scrape.h"


#define NGX_HTTP_MESH_SCRAPE_BUFFER   49152

/*
 * A turn ends when less is free: a histogram with the longest labels fits,
 * and the room that a piece of text asks for.
 */
#define NGX_HTTP_MESH_SCRAPE_ROOM     28672

/* or after so many slots, of which few may have anything to tell */
#define NGX_HTTP_MESH_SCRAPE_VISITS   1024

#define NGX_HTTP_MESH_SCRAPE_TIMEOUT  60000


typedef struct {
    ngx_uint_t                part;          /* the next to write */
    ngx_uint_t                number;        /* in it */
    ngx_buf_t                 buf;
    ngx_chain_t               link;
} ngx_http_mesh_scrape_t;


static void ngx_http_mesh_scrape_writer(ngx_http_request_t *r);
static void ngx_http_mesh_scrape_cleanup(void *data);


/* not the module's context: that is of calls, and has readers */

static ngx_http_mesh_scrape_t *
ngx_http_mesh_scrape_of(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup;
         cln->handler != ngx_http_mesh_scrape_cleanup;
         cln = cln->next)
    {
        /* void */
    }

    return cln->data;
}


/* whether the part is whole */

static ngx_uint_t
ngx_http_mesh_scrape_slots(ngx_http_mesh_scrape_t *s, ngx_mesh_text_t *t,
    ngx_uint_t *visits)
{
    ngx_str_t              labels;
    ngx_mesh_slot_t       *slot;
    ngx_mesh_counters_t   *c;
    ngx_http_mesh_part_t  *part;

    c = ngx_mesh.counters;
    part = &ngx_http_mesh_parts[s->part];

    for ( /* void */ ; s->number < c->nslots; s->number++) {

        if ((*visits)-- == 0
            || t->buf->end - t->buf->last < NGX_HTTP_MESH_SCRAPE_ROOM)
        {
            return 0;
        }

        slot = &c->slots[s->number];

        if (slot->hash) {
            labels.data = slot->labels;
            labels.len = slot->len;
            part->slot(t, part, slot, &labels);
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_mesh_scrape_histograms(ngx_http_mesh_scrape_t *s, ngx_mesh_text_t *t,
    ngx_uint_t *visits)
{
    ngx_str_t              labels;
    ngx_mesh_slot_t       *slot;
    ngx_mesh_counters_t   *c;
    ngx_mesh_histogram_t  *h;

    c = ngx_mesh.counters;

    for ( /* void */ ; s->number < c->nhistograms; s->number++) {

        if ((*visits)-- == 0
            || t->buf->end - t->buf->last < NGX_HTTP_MESH_SCRAPE_ROOM)
        {
            return 0;
        }

        h = &c->histograms[s->number];
        slot = &c->slots[h->slot];

        if (h->hash && slot->hash == h->hash) {
            labels.data = slot->labels;
            labels.len = slot->len;
            ngx_http_mesh_parts[s->part].histogram(t, h, &labels);
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_mesh_scrape_part(ngx_http_mesh_scrape_t *s, ngx_mesh_text_t *t,
    ngx_uint_t *visits)
{
    ngx_http_mesh_part_t  *part;

    part = &ngx_http_mesh_parts[s->part];

    if (s->number == 0 && part->type) {
        ngx_http_mesh_metric(t, part->name, part->type, part->help);
    }

    if (part->all) {
        part->all(t, ngx_mesh.counters);
        return 1;
    }

    return part->slot ? ngx_http_mesh_scrape_slots(s, t, visits)
                      : ngx_http_mesh_scrape_histograms(s, t, visits);
}


/* as much as a turn may write */

static ngx_int_t
ngx_http_mesh_scrape_turn(ngx_http_request_t *r, ngx_http_mesh_scrape_t *s)
{
    ngx_uint_t       visits;
    ngx_mesh_text_t  t;

    ngx_mesh_text_init(&t, r->pool);

    s->buf.pos = s->buf.start;
    s->buf.last = s->buf.start;
    s->link.buf = &s->buf;
    s->link.next = NULL;

    t.out = &s->link;
    t.last = &s->link.next;
    t.buf = &s->buf;

    visits = NGX_HTTP_MESH_SCRAPE_VISITS;

    while (s->part < ngx_http_mesh_nparts
           && s->buf.end - s->buf.last >= NGX_HTTP_MESH_SCRAPE_ROOM
           && ngx_http_mesh_scrape_part(s, &t, &visits))
    {
        s->part++;
        s->number = 0;
    }

    if (t.failed) {
        return NGX_ERROR;
    }

    t.buf->flush = 1;

    if (s->part == ngx_http_mesh_nparts) {
        t.buf->last_buf = 1;
        t.buf->last_in_chain = 1;
    }

    return s->buf.last > s->buf.pos || s->part == ngx_http_mesh_nparts
           ? ngx_http_output_filter(r, t.out) : NGX_OK;
}


static void
ngx_http_mesh_scrape_writer(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_event_t             *wev;
    ngx_http_mesh_scrape_t  *s;

    s = ngx_http_mesh_scrape_of(r);
    wev = r->connection->write;

    if (wev->timedout) {
        r->connection->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    rc = r->buffered || r->connection->buffered
         ? ngx_http_output_filter(r, NULL) : NGX_OK;

    if (rc == NGX_OK && !r->buffered && !r->connection->buffered) {
        rc = ngx_http_mesh_scrape_turn(r, s);

        if (s->part == ngx_http_mesh_nparts) {
            ngx_http_finalize_request(r, rc);
            return;
        }
    }

    if (rc == NGX_ERROR || rc > NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (!r->buffered && !r->connection->buffered) {

        if (wev->timer_set) {
            ngx_del_timer(wev);
        }

        /* others first */
        ngx_post_event(wev, &ngx_posted_next_events);
        return;
    }

    ngx_add_timer(wev, NGX_HTTP_MESH_SCRAPE_TIMEOUT);

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


/* there is nothing but memory of the request */

static void
ngx_http_mesh_scrape_cleanup(void *data)
{
    /* void */
}


ngx_int_t
ngx_http_mesh_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_buf_t               *b;
    ngx_pool_cleanup_t      *cln;
    ngx_http_mesh_scrape_t  *s;

    static ngx_str_t         type = ngx_string("text/plain; version=0.0.4");

    rc = ngx_http_mesh_begin(r, NGX_HTTP_GET|NGX_HTTP_HEAD);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_mesh.count) {
        ngx_mesh.count();
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_mesh_scrape_t));
    b = ngx_create_temp_buf(r->pool, NGX_HTTP_MESH_SCRAPE_BUFFER);

    if (cln == NULL || b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_mesh_scrape_cleanup;

    s = cln->data;
    ngx_memzero(s, sizeof(ngx_http_mesh_scrape_t));
    s->buf = *b;

    /* how much it will be is not known before it is written */

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = type;
    r->headers_out.content_type_len = type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    r->main->count++;
    r->write_event_handler = ngx_http_mesh_scrape_writer;
    ngx_http_mesh_scrape_writer(r);

    return NGX_DONE;
}
