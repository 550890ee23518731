
/*
 * The series of calls to one endpoint: its labels (docs/reference/metrics.md)
 * and its slot, for http and stream alike.
 */


#include "ngx_mesh_counters.h"
#include "ngx_mesh_peer.h"


/* "namespace/name" in two parts */

static void
ngx_mesh_series_split(ngx_str_t *both, ngx_str_t *namespace, ngx_str_t *name)
{
    u_char  *slash;

    *namespace = *both;
    ngx_str_null(name);

    slash = both->len ? ngx_strlchr(both->data, both->data + both->len, '/')
                      : NULL;

    if (slash) {
        namespace->len = slash - both->data;
        name->data = slash + 1;
        name->len = both->len - namespace->len - 1;
    }
}


static u_char *
ngx_mesh_series_labels(ngx_mesh_upstream_t *u, ngx_mesh_endpoint_t *e,
    u_char *p, u_char *last)
{
    ngx_str_t  namespace, name;

    p = ngx_slprintf(p, last, "upstream=\"%V:%ui\",server=\"%V\"",
                     &u->name, (ngx_uint_t) u->port, &e->peer->name);

    ngx_mesh_series_split(&u->name, &namespace, &name);

    if (namespace.len) {
        p = ngx_slprintf(p, last, ",dst_namespace=\"%V\"", &namespace);
    }

    if (name.len && !u->pod) {
        p = ngx_slprintf(p, last, ",dst_service=\"%V\"", &name);
    }

    ngx_mesh_series_split(&e->pod, &namespace, &name);

    if (name.len) {
        p = ngx_slprintf(p, last, ",dst_pod=\"%V\"", &name);
    }

    return p;
}


/* u: NULL for an original destination that no table names */

ngx_mesh_slot_t *
ngx_mesh_series(ngx_mesh_family_e family, ngx_mesh_direction_e direction,
    ngx_mesh_upstream_t *u, ngx_mesh_endpoint_t *e)
{
    u_char     buf[NGX_MESH_LABELS_MAX + 1], *p, *last;
    ngx_str_t  labels;

    last = buf + sizeof(buf);

    if (u) {
        p = ngx_mesh_series_labels(u, e, buf, last);

    } else {
        p = ngx_slprintf(buf, last, "upstream=\"%s\",server=\"%V\"",
                         direction == NGX_MESH_INCOMING ? "application"
                                                        : "original",
                         &e->peer->name);
    }

    labels.data = buf;
    labels.len = p - buf;

    return ngx_mesh_slot(family, &labels);
}
