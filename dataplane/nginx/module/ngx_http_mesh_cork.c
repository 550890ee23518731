
/*
 * What is written to one connection during one turn of the event loop leaves
 * together.  nginx writes the headers of an HTTP/2 request or response as
 * soon as it has them, then what follows: each write is a packet, and wakes
 * the other side up.  The kernel holds them back until the turn is over.
 *
 * A connection that is closed meanwhile is uncorked by that.
 */


#include "ngx_http_mesh.h"


/* more connections than these in one turn are not held back */

#define NGX_HTTP_MESH_CORKS_MAX  64


typedef struct {
    ngx_connection_t         *connection;
    ngx_atomic_uint_t         number;        /* the object is used again */
} ngx_http_mesh_cork_t;


static void ngx_http_mesh_uncork(ngx_event_t *ev);


static ngx_http_mesh_cork_t  ngx_http_mesh_corks[NGX_HTTP_MESH_CORKS_MAX];
static ngx_uint_t            ngx_http_mesh_ncorks;

static ngx_event_t           ngx_http_mesh_cork_event;
static ngx_connection_t      ngx_http_mesh_cork_dummy;


void
ngx_http_mesh_cork_init(ngx_cycle_t *cycle)
{
    ngx_http_mesh_ncorks = 0;

    ngx_http_mesh_cork_dummy.fd = (ngx_socket_t) -1;
    ngx_http_mesh_cork_event.data = &ngx_http_mesh_cork_dummy;
    ngx_http_mesh_cork_event.handler = ngx_http_mesh_uncork;
    ngx_http_mesh_cork_event.log = cycle->log;
}


void
ngx_http_mesh_cork(ngx_connection_t *c)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_http_mesh_ncorks; i++) {
        if (ngx_http_mesh_corks[i].connection == c
            && ngx_http_mesh_corks[i].number == c->number)
        {
            return;
        }
    }

    if (i == NGX_HTTP_MESH_CORKS_MAX || ngx_tcp_nopush(c->fd) == -1) {
        return;
    }

    ngx_http_mesh_corks[i].connection = c;
    ngx_http_mesh_corks[i].number = c->number;
    ngx_http_mesh_ncorks++;

    ngx_post_event(&ngx_http_mesh_cork_event, &ngx_posted_events);
}


static void
ngx_http_mesh_uncork(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    while (ngx_http_mesh_ncorks) {
        ngx_http_mesh_ncorks--;
        c = ngx_http_mesh_corks[ngx_http_mesh_ncorks].connection;

        if (c->fd != (ngx_socket_t) -1
            && c->number == ngx_http_mesh_corks[ngx_http_mesh_ncorks].number)
        {
            (void) ngx_tcp_push(c->fd);
        }
    }
}
