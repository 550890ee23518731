
/*
 * The module's judgement without a connection around it: a document, a
 * request that the test describes, and what becomes of it.
 */


#include "driver.h"


#define DRIVER_HEADERS_MAX  32
#define DRIVER_VALUE_MAX    1024


typedef struct {
    const char               *name;          /* in lower case */
    const char               *value;
    size_t                    len;
} driver_header_t;


typedef struct {
    const char               *method;        /* NULL: a TCP connection */
    const char               *path;
    size_t                    path_len;
    driver_header_t           headers[DRIVER_HEADERS_MAX];
    size_t                    nheaders;
} driver_request_t;


static u_char       driver_answer[NGX_MESH_ERROR_MAX];
static ngx_uint_t   driver_odd;
static long         driver_die;


/* what the module draws: two numbers for each draw, of which one counts */

long
driver_random(void)
{
    driver_odd = !driver_odd;

    return driver_odd ? 0 : driver_die;
}


static ngx_int_t
driver_header(void *data, ngx_mesh_criterion_t *c, ngx_str_t *value)
{
    size_t             i;
    static u_char      joined[DRIVER_VALUE_MAX];
    driver_header_t   *h;
    driver_request_t  *r = data;

    value->data = NULL;

    for (i = 0; i < r->nheaders; i++) {
        h = &r->headers[i];

        if (ngx_strlen(h->name) != c->name.len
            || ngx_memcmp(h->name, c->name.data, c->name.len) != 0)
        {
            continue;
        }

        if (value->data == NULL) {
            value->data = joined;
            value->len = 0;

        } else {
            ngx_memcpy(joined + value->len, ", ", 2);
            value->len += 2;
        }

        ngx_memcpy(joined + value->len, h->value, h->len);
        value->len += h->len;
    }

    return value->data ? NGX_OK : NGX_DECLINED;
}


static ngx_mesh_subject_t *
driver_subject(driver_request_t *r)
{
    static ngx_str_t           method, path;
    static ngx_mesh_subject_t  subject;

    if (r->method == NULL) {
        return NULL;
    }

    method.data = (u_char *) r->method;
    method.len = ngx_strlen(r->method);
    path.data = (u_char *) r->path;
    path.len = r->path_len;

    subject.method = &method;
    subject.path = &path;
    subject.header = driver_header;
    subject.data = r;

    return &subject;
}


/* the id of the reason why it does not come in, empty when it does */

const char *
driver_access(driver_request_t *r, const char *identity, unsigned port)
{
    ngx_str_t             peer;
    ngx_mesh_judgement_t  j;

    if (!ngx_mesh.table->access.enforced || ngx_mesh.table->transparent) {
        return "";
    }

    peer.data = (u_char *) identity;
    peer.len = ngx_strlen(identity);

    ngx_mesh_access_judge(&ngx_mesh.table->access, &peer, port,
                          driver_subject(r), &j);

    if (j.reason == NULL) {
        return "";
    }

    if (j.policy) {
        (void) ngx_sprintf(driver_answer, "%s:%V%Z", j.reason,
                           &j.policy->name);
        return (char *) driver_answer;
    }

    return j.reason;
}


/* let the circuit of a policy open */

void
driver_open_circuit(const char *policy)
{
    ngx_uint_t           i, n;
    ngx_mesh_breaker_t  *b;

    for (i = 0; i < ngx_mesh.table->nbreakers; i++) {
        b = &ngx_mesh.table->breakers[i];

        if (ngx_strncmp(b->policy->name.data, policy, b->policy->name.len)
            == 0)
        {
            for (n = 0; n < b->guard.errors; n++) {
                ngx_mesh_circuit_error(&b->guard);
            }
        }
    }
}


static ngx_uint_t
driver_fits(ngx_mesh_split_t *split, void *data)
{
    ngx_uint_t  i;

    for (i = 0; i < split->nmatches; i++) {
        if (ngx_mesh_match(split->matches[i], driver_subject(data))
            == NGX_OK)
        {
            return 1;
        }
    }

    return 0;
}


static u_char *
driver_guards(u_char *p, ngx_mesh_direction_t *d)
{
    ngx_uint_t         i, n;
    ngx_mesh_table_t  *t;

    t = ngx_mesh.table;

    for (i = 0; i < d->nguards; i++) {
        for (n = 0; n < t->nbreakers; n++) {
            if (t->breakers[n].guard.hash == d->guards[i].hash) {
                p = ngx_sprintf(p, " %V", &t->breakers[n].policy->name);
                break;
            }
        }
    }

    return p;
}


/*
 * Who answers a call of the first upstream, "!<policy>" for an open circuit,
 * and the policies of the circuits that an error would count for.
 */

const char *
driver_direct(driver_request_t *r, long die)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_mesh_direction_t   d;

    driver_die = die;
    driver_odd = 0;

    rc = ngx_mesh_direct(&d, &ngx_mesh.table->upstreams[0],
                         r->method ? driver_fits : NULL, r);

    p = (rc == NGX_OK)
        ? ngx_sprintf(driver_answer, "%V", &d.upstream->name)
        : ngx_sprintf(driver_answer, "!%V", &d.open->name);

    *driver_guards(p, &d) = '\0';

    return (char *) driver_answer;
}
