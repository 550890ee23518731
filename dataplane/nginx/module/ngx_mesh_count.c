
/*
 * What is counted by name: refusals, handshakes, connections.
 */


#include "ngx_mesh_counters.h"


const char *
ngx_mesh_direction_name(ngx_mesh_direction_e direction)
{
    return direction == NGX_MESH_INCOMING ? "incoming" : "outgoing";
}


static void
ngx_mesh_count_one(ngx_mesh_family_e family, ngx_str_t *labels)
{
    ngx_mesh_slot_t  *slot;

    slot = ngx_mesh_slot(family, labels);

    if (slot) {
        (void) ngx_atomic_fetch_add(&slot->values[0], 1);
    }
}


static void
ngx_mesh_count_label(ngx_mesh_family_e family, ngx_mesh_direction_e direction,
    const char *label, const char *value)
{
    u_char     buf[128];
    ngx_str_t  labels;

    labels.data = buf;
    labels.len = ngx_slprintf(buf, buf + sizeof(buf),
                              "direction=\"%s\",%s=\"%s\"",
                              ngx_mesh_direction_name(direction), label, value)
                 - buf;

    ngx_mesh_count_one(family, &labels);
}


void
ngx_mesh_count_refusal(ngx_mesh_direction_e direction, const char *reason)
{
    ngx_mesh_count_label(NGX_MESH_FAMILY_REFUSALS, direction, "reason",
                         reason);
}


/*
 * Policies come and go, unlike reasons: their series are a family of their
 * own, which gives slots away
 */

void
ngx_mesh_count_refusal_by(ngx_mesh_direction_e direction, const char *reason,
    ngx_mesh_policy_t *policy)
{
    u_char     buf[NGX_MESH_LABELS_MAX];
    ngx_str_t  labels;

    if (policy == NULL) {
        ngx_mesh_count_refusal(direction, reason);
        return;
    }

    labels.data = buf;
    labels.len = ngx_slprintf(buf, buf + sizeof(buf),
                              "direction=\"%s\",reason=\"%s\",policy=\"%V\"",
                              ngx_mesh_direction_name(direction), reason,
                              &policy->name)
                 - buf;

    ngx_mesh_count_one(NGX_MESH_FAMILY_POLICY_REFUSALS, &labels);
}


void
ngx_mesh_count_handshake(ngx_mesh_direction_e direction, const char *result)
{
    ngx_mesh_count_label(NGX_MESH_FAMILY_HANDSHAKES, direction, "result",
                         result);
}


void
ngx_mesh_count_preconnect(const char *result)
{
    ngx_mesh_count_label(NGX_MESH_FAMILY_PRECONNECTS, NGX_MESH_OUTGOING,
                         "result", result);
}


void
ngx_mesh_count_accepted(ngx_mesh_direction_e direction)
{
    (void) ngx_atomic_fetch_add(&ngx_mesh.counters->accepted[direction], 1);
}


void
ngx_mesh_count_handled(ngx_mesh_direction_e direction)
{
    (void) ngx_atomic_fetch_add(&ngx_mesh.counters->handled[direction], 1);
}


void
ngx_mesh_count_active(ngx_int_t n)
{
    if (ngx_mesh.gauge) {
        (void) ngx_atomic_fetch_add(ngx_mesh.gauge, n);
    }
}


/* told once for the life of the file, as it goes on for every request */

void
ngx_mesh_count_lost(ngx_str_t *labels)
{
    if (ngx_atomic_fetch_add(&ngx_mesh.counters->lost, 1) == 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "mesh: no room for another series of metrics: what "
                      "belongs to it is not counted, the first one is {%V}",
                      labels);
    }
}


/* of all workers, but for those that died */

ngx_uint_t
ngx_mesh_count_open(void)
{
    ngx_uint_t         i, open;
    ngx_mesh_gauge_t  *gauge;

    open = 0;

    for (i = 0; i < NGX_MESH_WORKERS_MAX; i++) {
        gauge = &ngx_mesh.counters->gauges[i];

        if (ngx_mesh_owner_lives(gauge->owner)) {
            open += gauge->active;
        }
    }

    return open;
}
