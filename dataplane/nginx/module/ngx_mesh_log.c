
/*
 * The level of the error log, at run time.  nginx copies it: from the cycle's
 * log into that of each listener, from there into that of each connection it
 * accepts, and again when a request begins.
 */


#include "ngx_mesh.h"
#include <ngx_event.h>


void
ngx_mesh_log_level(ngx_uint_t level)
{
    ngx_log_t         *log;
    ngx_uint_t         i;
    ngx_listening_t   *ls;
    ngx_connection_t  *c;

    if (ngx_cycle->log->log_level == level) {
        return;
    }

    for (log = ngx_cycle->log; log; log = log->next) {
        log->log_level = level;
    }

    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {
        ls[i].log.log_level = level;
    }

    /* "debug_connection" has a level of its own */

    c = ngx_cycle->connections;

    for (i = 0; i < ngx_cycle->connection_n; i++) {
        if (c[i].fd != (ngx_socket_t) -1 && c[i].log
            && !(c[i].log->log_level & NGX_LOG_DEBUG_CONNECTION))
        {
            c[i].log->log_level = level;
        }
    }
}
