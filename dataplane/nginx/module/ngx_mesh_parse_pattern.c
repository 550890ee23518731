
/*
 * Patterns in the document "state": escaped, and "-" for none.
 */


#include "ngx_mesh_parse.h"


ngx_uint_t
ngx_mesh_parse_is_none(ngx_str_t *field)
{
    return field->len == 1 && field->data[0] == '-';
}


/* NGX_DECLINED: it is not as the format says */

static ngx_int_t
ngx_mesh_parse_unescape(ngx_pool_t *pool, ngx_str_t *field, ngx_str_t *text)
{
    u_char     *p, *last, *dst;
    ngx_int_t   byte;

    dst = ngx_pnalloc(pool, field->len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    text->data = dst;

    last = field->data + field->len;

    for (p = field->data; p < last; p++) {

        if (*p == ' ') {
            return NGX_DECLINED;
        }

        if (*p != '%') {
            *dst++ = *p;
            continue;
        }

        byte = (last - p > 2) ? ngx_hextoi(p + 1, 2) : NGX_ERROR;

        if (byte == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *dst++ = (u_char) byte;
        p += 2;
    }

    text->len = dst - text->data;

    return text->len ? NGX_OK : NGX_DECLINED;
}


/*
 * One policy's pattern must not keep a sidecar from everything else: it is
 * told, and what it belongs to cannot be judged (contract 7.unsearchable).
 */

static ngx_int_t
ngx_mesh_parse_wrong(ngx_mesh_parser_t *p, const char *what, ngx_str_t *field,
    const char *takes)
{
    ngx_str_t         *text;
    ngx_mesh_line_t   *l;
    ngx_mesh_table_t  *t;

    l = &p->line;
    t = p->table;

    if (t->nwrong == NGX_MESH_WRONG_MAX) {
        return NGX_OK;
    }

    (void) ngx_mesh_line_error(l, what, field, takes);

    text = &t->wrong[t->nwrong];

    text->data = ngx_pnalloc(t->pool, l->error_len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = l->error_len;
    ngx_memcpy(text->data, l->error, text->len);

    t->nwrong++;
    l->error_len = 0;

    return NGX_OK;
}


/* the pattern in field i; "-" is none */

ngx_int_t
ngx_mesh_parse_pattern(ngx_mesh_parser_t *p, ngx_uint_t i, const char *what,
    ngx_mesh_regex_t **re)
{
    ngx_int_t         rc;
    ngx_str_t         text;
    const char       *wrong;
    ngx_mesh_line_t  *l;

    l = &p->line;

    if (ngx_mesh_parse_is_none(&l->field[i])) {
        *re = NULL;
        return NGX_OK;
    }

    rc = ngx_mesh_parse_unescape(p->table->pool, &l->field[i], &text);

    if (rc == NGX_DECLINED) {
        return ngx_mesh_line_error(l, what, &l->field[i],
                                   "a pattern with %XX for what is no "
                                   "printable character, or -");
    }

    if (rc == NGX_ERROR) {
        return ngx_mesh_line_error(l, what, &l->field[i],
                                   "a pattern that there is memory for");
    }

    if (p->regexes == NULL) {
        p->regexes = ngx_mesh_regexes(p->table->pool, p->lines.matches
                                                      + p->lines.headers);
        if (p->regexes == NULL) {
            return ngx_mesh_line_error(l, what, &l->field[i],
                                       "a pattern that there is memory for");
        }
    }

    *re = ngx_mesh_regex(p->regexes, &text);

    if (*re == NULL) {
        return ngx_mesh_line_error(l, what, &l->field[i],
                                   "a pattern that there is memory for");
    }

    wrong = ngx_mesh_regex_wrong(*re);

    return wrong ? ngx_mesh_parse_wrong(p, what, &l->field[i], wrong)
                 : NGX_OK;
}
