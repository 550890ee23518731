
/*
 * Draining: no new incoming connection, all else goes on.
 *
 * shutdown() of a listening socket stops it for every process that holds it,
 * the master too, so that the kernel refuses new connections at once.  The
 * flag in the counters file tells the other workers, and workers that start
 * later, to take the dead socket out of their event loop.
 */


#include "ngx_mesh_counters.h"
#include <ngx_event.h>


static void ngx_mesh_drain_accept(ngx_event_t *ev);


static ngx_event_handler_pt  ngx_mesh_accept;


static ngx_uint_t
ngx_mesh_is_incoming_listener(ngx_listening_t *ls)
{
    return ls->type == SOCK_STREAM
           && ls->sockaddr->sa_family != AF_UNIX
           && ngx_inet_get_port(ls->sockaddr) == NGX_MESH_PORT_INCOMING;
}


void
ngx_mesh_drain_init(ngx_cycle_t *cycle)
{
    ngx_uint_t        i;
    ngx_event_t      *rev;
    ngx_listening_t  *ls;

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (!ngx_mesh_is_incoming_listener(&ls[i])
            || ls[i].connection == NULL)
        {
            continue;
        }

        rev = ls[i].connection->read;

        ngx_mesh_accept = rev->handler;
        rev->handler = ngx_mesh_drain_accept;

        if (ngx_mesh_draining()) {
            (void) ngx_del_event(rev, NGX_READ_EVENT, NGX_DISABLE_EVENT);
        }
    }
}


static void
ngx_mesh_drain_accept(ngx_event_t *ev)
{
    if (ngx_mesh_draining()) {
        (void) ngx_del_event(ev, NGX_READ_EVENT, NGX_DISABLE_EVENT);
        return;
    }

    ngx_mesh_accept(ev);
}


void
ngx_mesh_drain_start(ngx_log_t *log)
{
    ngx_uint_t        i;
    ngx_listening_t  *ls;

    if (!ngx_atomic_cmp_set(&ngx_mesh.counters->draining, 0, 1)) {
        return;
    }

    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {

        if (!ngx_mesh_is_incoming_listener(&ls[i]) || ls[i].fd == -1) {
            continue;
        }

        if (shutdown(ls[i].fd, SHUT_RD) == -1) {
            ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                          "mesh: shutdown(%V) failed", &ls[i].addr_text);
        }
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0, "mesh: draining");
}


ngx_uint_t
ngx_mesh_draining(void)
{
    return ngx_mesh.counters->draining != 0;
}
