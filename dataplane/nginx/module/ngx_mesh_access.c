
/*
 * Who may call this pod.  Allowed is what any target allows; nothing here
 * depends on their order but the one that a refusal names.
 */


#include "ngx_mesh_access.h"


ngx_int_t
ngx_mesh_access_allocate(ngx_mesh_access_t *a, ngx_pool_t *pool,
    ngx_uint_t targets, ngx_uint_t sources, ngx_uint_t matches)
{
    ngx_uint_t  size;

    for (size = 8; size < 2 * sources; size *= 2) { /* void */ }

    /* one more of each: an array of none is an array all the same */

    a->grants = ngx_pcalloc(pool, (targets + 1) * sizeof(ngx_mesh_grant_t));
    a->matches = ngx_palloc(pool, (matches + 1) * sizeof(ngx_mesh_match_t *));
    a->granted = ngx_pcalloc(pool, (sources + 1)
                                   * sizeof(ngx_mesh_granted_t));
    a->callers = ngx_pcalloc(pool, (sources + 1) * sizeof(ngx_mesh_caller_t));
    a->index = ngx_pcalloc(pool, size * sizeof(uint32_t));
    a->mask = size - 1;

    return (a->grants && a->matches && a->granted && a->callers && a->index)
           ? NGX_OK : NGX_ERROR;
}


static uint32_t *
ngx_mesh_access_slot(ngx_mesh_access_t *a, ngx_str_t *identity)
{
    uint32_t            n;
    ngx_uint_t          i;
    ngx_mesh_caller_t  *caller;

    i = ngx_murmur_hash2(identity->data, identity->len) & a->mask;

    for ( ;; ) {
        n = a->index[i];

        if (n == 0) {
            return &a->index[i];
        }

        caller = &a->callers[n - 1];

        if (caller->identity.len == identity->len
            && ngx_memcmp(caller->identity.data, identity->data,
                          identity->len)
               == 0)
        {
            return &a->index[i];
        }

        i = (i + 1) & a->mask;
    }
}


void
ngx_mesh_access_name(ngx_mesh_access_t *a, ngx_str_t *identity)
{
    uint32_t            *slot;
    ngx_mesh_caller_t   *caller;
    ngx_mesh_granted_t  *granted;

    slot = ngx_mesh_access_slot(a, identity);

    if (*slot == 0) {
        a->callers[a->ncallers++].identity = *identity;
        *slot = a->ncallers;
    }

    caller = &a->callers[*slot - 1];

    granted = &a->granted[a->ngranted++];
    granted->grant = &a->grants[a->ngrants - 1];

    if (caller->last) {
        caller->last->next = granted;

    } else {
        caller->first = granted;
    }

    caller->last = granted;
}


/* a search that was given up allows nothing */

static ngx_mesh_match_t *
ngx_mesh_access_rule(ngx_mesh_grant_t *grant, ngx_mesh_subject_t *subject)
{
    ngx_uint_t  i;

    for (i = 0; i < grant->nmatches; i++) {
        if (ngx_mesh_match(grant->matches[i], subject) == NGX_OK) {
            return grant->matches[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_mesh_access_allows(ngx_mesh_grant_t *grant, ngx_mesh_subject_t *subject,
    ngx_mesh_judgement_t *j)
{
    ngx_mesh_match_t  *rule;

    if (grant->everything) {
        return 1;
    }

    if (subject == NULL) {
        return grant->tcp;
    }

    rule = ngx_mesh_access_rule(grant, subject);

    if (rule == NULL) {
        return 0;
    }

    j->by_path = rule->path != NULL;

    return 1;
}


void
ngx_mesh_access_judge(ngx_mesh_access_t *a, ngx_str_t *identity,
    in_port_t port, ngx_mesh_subject_t *subject, ngx_mesh_judgement_t *j)
{
    uint32_t             n;
    ngx_mesh_grant_t    *grant;
    ngx_mesh_granted_t  *granted;

    ngx_memzero(j, sizeof(ngx_mesh_judgement_t));

    if (identity->len == 0) {
        j->reason = "access_plaintext";
        return;
    }

    j->reason = "access_no_target";

    n = *ngx_mesh_access_slot(a, identity);
    granted = n ? a->callers[n - 1].first : NULL;

    for ( /* void */ ; granted; granted = granted->next) {

        grant = granted->grant;

        if (grant->port && grant->port != port) {
            continue;
        }

        if (ngx_mesh_access_allows(grant, subject, j)) {
            j->reason = NULL;
            j->policy = NULL;
            return;
        }

        if (j->policy == NULL) {
            j->reason = "access_no_rule";
            j->policy = grant->policy;
        }
    }
}
