
/*
 * Ends that must not look like the end of what was said.
 */


#include "ngx_mesh.h"
#include <ngx_event.h>


/* the other side is reset when nginx closes the connection */

void
ngx_mesh_abort(ngx_connection_t *c)
{
    struct linger  linger;

    linger.l_onoff = 1;
    linger.l_linger = 0;

    if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))
        == -1)
    {
        ngx_connection_error(c, ngx_socket_errno,
                             "setsockopt(SO_LINGER) failed");
    }

    /* nothing more is written, so no close_notify either */

    c->error = 1;
}
