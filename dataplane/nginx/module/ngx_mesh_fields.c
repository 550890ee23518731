
/*
 * One line of the document "state": splitting it, and reading its fields.
 * Every function refuses with a message that names line, field, what was
 * got and what it takes.
 */


#include "ngx_mesh_table.h"


#define NGX_MESH_SPIFFE_ID_MAX  2048


ngx_int_t
ngx_mesh_line_error(ngx_mesh_line_t *l, const char *what, ngx_str_t *got,
    const char *takes)
{
    u_char     *p;
    ngx_str_t   shown;

    ngx_str_set(&shown, "");

    if (got) {
        shown.data = got->data;
        shown.len = ngx_min(got->len, 80);
    }

    p = ngx_slprintf(l->error, l->error + NGX_MESH_ERROR_MAX,
                     "state:%ui: %s: got \"%V\", takes %s",
                     l->line, what, &shown, takes);

    l->error_len = p - l->error;

    return NGX_ERROR;
}


ngx_int_t
ngx_mesh_line_split(ngx_mesh_line_t *l, u_char *start, u_char *end)
{
    u_char     *p, *field;
    ngx_str_t   none = ngx_null_string;

    if (end - start > NGX_MESH_LINE_MAX) {
        return ngx_mesh_line_error(l, "line", &none, "at most 4096 bytes");
    }

    l->nfields = 0;
    field = start;

    for (p = start; ; p++) {

        if (p == end || *p == '\t') {

            if (l->nfields < NGX_MESH_FIELDS_MAX) {
                l->field[l->nfields].data = field;
                l->field[l->nfields].len = p - field;
                l->nfields++;
            }

            if (p == end) {
                return NGX_OK;
            }

            field = p + 1;
            continue;
        }

        if (*p < 0x20 || *p > 0x7e || *p == '"' || *p == '\\') {
            return ngx_mesh_line_error(l, "character", &none, "printable "
                                       "ASCII without quotes and backslashes");
        }
    }
}


ngx_int_t
ngx_mesh_line_needs(ngx_mesh_line_t *l, ngx_uint_t n)
{
    if (l->nfields < n) {
        return ngx_mesh_line_error(l, "line", &l->field[0], "more fields");
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_line_number(ngx_mesh_line_t *l, ngx_uint_t i, const char *what,
    ngx_uint_t min, ngx_uint_t max, ngx_uint_t *value)
{
    char        takes[64];
    ngx_int_t   n;
    ngx_str_t  *f;

    f = &l->field[i];

    if (f->len && (f->len == 1 || f->data[0] != '0')) {

        n = ngx_atoi(f->data, f->len);

        if (n != NGX_ERROR && (ngx_uint_t) n >= min && (ngx_uint_t) n <= max) {
            *value = n;
            return NGX_OK;
        }
    }

    (void) ngx_sprintf((u_char *) takes, "%ui..%ui%Z", min, max);

    return ngx_mesh_line_error(l, what, f, takes);
}


/* the port is left alone */

ngx_int_t
ngx_mesh_line_ip(ngx_mesh_line_t *l, ngx_uint_t i, ngx_mesh_addr_t *addr)
{
    if (ngx_mesh_addr_parse(l->field[i].data, l->field[i].len, addr)
        != NGX_OK)
    {
        return ngx_mesh_line_error(l, "address", &l->field[i],
                                   "an IPv4 or IPv6 address");
    }

    return NGX_OK;
}


/* an address in field i and its port in the next one */

ngx_int_t
ngx_mesh_line_addr(ngx_mesh_line_t *l, ngx_uint_t i, ngx_mesh_addr_t *addr)
{
    ngx_uint_t  port;

    if (ngx_mesh_line_ip(l, i, addr) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_mesh_line_number(l, i + 1, "port", 1, 65535, &port) != NGX_OK) {
        return NGX_ERROR;
    }

    addr->port = (in_port_t) port;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_line_enum(ngx_mesh_line_t *l, ngx_uint_t i, const char *what,
    const char *takes, const ngx_conf_enum_t *values, ngx_uint_t *value)
{
    ngx_str_t  *f;

    f = &l->field[i];

    for ( /* void */ ; values->name.len; values++) {

        if (values->name.len == f->len
            && ngx_memcmp(values->name.data, f->data, f->len) == 0)
        {
            *value = values->value;
            return NGX_OK;
        }
    }

    return ngx_mesh_line_error(l, what, f, takes);
}


ngx_int_t
ngx_mesh_line_protocol(ngx_mesh_line_t *l, ngx_uint_t i,
    ngx_mesh_protocol_e *protocol)
{
    ngx_uint_t  value;

    static const ngx_conf_enum_t  protocols[] = {
        { ngx_string("http"), NGX_MESH_HTTP },
        { ngx_string("grpc"), NGX_MESH_GRPC },
        { ngx_string("tcp"), NGX_MESH_TCP },
        { ngx_string("udp"), NGX_MESH_UDP },
        { ngx_null_string, 0 }
    };

    if (ngx_mesh_line_enum(l, i, "protocol", "http, grpc, tcp, udp",
                           protocols, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    *protocol = value;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_line_spiffe_id(ngx_mesh_line_t *l, ngx_uint_t i,
    ngx_str_t *trust_domain)
{
    if (!ngx_mesh_is_spiffe_id(&l->field[i], trust_domain)) {
        return ngx_mesh_line_error(l, "identity", &l->field[i],
                                   "spiffe://<trust domain>/<path>");
    }

    return NGX_OK;
}


ngx_uint_t
ngx_mesh_is_trust_domain(ngx_str_t *name)
{
    size_t  i;
    u_char  ch;

    if (name->len == 0 || name->len > 255) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
              || ch == '.' || ch == '-' || ch == '_'))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_mesh_is_segment(u_char *p, size_t len)
{
    size_t  i;
    u_char  ch;

    if (len == 0
        || (len == 1 && p[0] == '.')
        || (len == 2 && p[0] == '.' && p[1] == '.'))
    {
        return 0;
    }

    for (i = 0; i < len; i++) {
        ch = p[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9')
              || ch == '.' || ch == '-' || ch == '_'))
        {
            return 0;
        }
    }

    return 1;
}


/* SPIFFE ID standard, 2.1 to 2.4; nothing is normalised; a path is needed */

ngx_uint_t
ngx_mesh_is_spiffe_id(ngx_str_t *id, ngx_str_t *trust_domain)
{
    u_char  *p, *last, *slash;

    static u_char  scheme[] = "spiffe://";

    p = id->data;
    last = p + id->len;

    if (id->len > NGX_MESH_SPIFFE_ID_MAX
        || id->len < sizeof(scheme) - 1 + trust_domain->len + 2
        || trust_domain->len == 0
        || ngx_memcmp(p, scheme, sizeof(scheme) - 1) != 0)
    {
        return 0;
    }

    p += sizeof(scheme) - 1;

    if (ngx_memcmp(p, trust_domain->data, trust_domain->len) != 0
        || p[trust_domain->len] != '/')
    {
        return 0;
    }

    p += trust_domain->len + 1;

    for ( ;; ) {
        slash = ngx_strlchr(p, last, '/');

        if (!ngx_mesh_is_segment(p, (slash ? slash : last) - p)) {
            return 0;
        }

        if (slash == NULL) {
            return 1;
        }

        p = slash + 1;
    }
}
