
/*
 * The lines of the document "state" that stand for themselves: version,
 * trust domain, mode, settings.
 */


#include "ngx_mesh_parse.h"


static const ngx_conf_enum_t  ngx_mesh_modes[] = {
    { ngx_string("off"), NGX_MESH_OFF },
    { ngx_string("permissive"), NGX_MESH_PERMISSIVE },
    { ngx_string("strict"), NGX_MESH_STRICT },
    { ngx_null_string, 0 }
};


static const ngx_conf_enum_t  ngx_mesh_booleans[] = {
    { ngx_string("0"), 0 },
    { ngx_string("1"), 1 },
    { ngx_null_string, 0 }
};


static const ngx_conf_enum_t  ngx_mesh_log_levels[] = {
    { ngx_string("emerg"), NGX_LOG_EMERG },
    { ngx_string("alert"), NGX_LOG_ALERT },
    { ngx_string("crit"), NGX_LOG_CRIT },
    { ngx_string("error"), NGX_LOG_ERR },
    { ngx_string("warn"), NGX_LOG_WARN },
    { ngx_string("notice"), NGX_LOG_NOTICE },
    { ngx_string("info"), NGX_LOG_INFO },
    { ngx_string("debug"), NGX_LOG_DEBUG_ALL },
    { ngx_null_string, 0 }
};


static const ngx_conf_enum_t  ngx_mesh_log_formats[] = {
    { ngx_string("default"), 0 },
    { ngx_string("json"), 1 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_mesh_parse_first(ngx_mesh_parser_t *p)
{
    ngx_mesh_line_t  *l;

    l = &p->line;

    if (l->nfields < 3
        || l->field[0].len != 4
        || ngx_memcmp(l->field[0].data, "mesh", 4) != 0)
    {
        return ngx_mesh_line_error(l, "first line", &l->field[0],
                                   "mesh, version, revision");
    }

    if (l->field[1].len != 1 || l->field[1].data[0] != '1') {
        return ngx_mesh_line_error(l, "version", &l->field[1], "1");
    }

    if (l->field[2].len == 0 || l->field[2].len > 64) {
        return ngx_mesh_line_error(l, "revision", &l->field[2],
                                   "1 to 64 characters");
    }

    p->table->revision = l->field[2];

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_trust_domain(ngx_mesh_parser_t *p)
{
    ngx_mesh_line_t  *l;

    l = &p->line;

    if (p->table->trust_domain.len) {
        return ngx_mesh_line_error(l, "trust domain", &l->field[1],
                                   "one line of it");
    }

    if (!ngx_mesh_is_trust_domain(&l->field[1])) {
        return ngx_mesh_line_error(l, "trust domain", &l->field[1],
                                   "lower case letters, digits, '.-_'");
    }

    p->table->trust_domain = l->field[1];

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_mode(ngx_mesh_parser_t *p)
{
    ngx_uint_t        value;
    ngx_mesh_line_t  *l;

    l = &p->line;

    if (p->mode) {
        return ngx_mesh_line_error(l, "mode", &l->field[1], "one line of it");
    }

    if (ngx_mesh_line_enum(l, 1, "mode", "off, permissive, strict",
                           ngx_mesh_modes, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    p->mode = 1;
    p->table->mode = value;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_parse_set(ngx_mesh_parser_t *p)
{
    ngx_int_t          rc;
    ngx_str_t         *key;
    ngx_uint_t         i, value;
    ngx_mesh_line_t   *l;
    ngx_mesh_table_t  *t;

    static const char  *keys[] = {
        "client_max_body_size", "transparent", "error_log_level", "log_format",
        "server_first_ms"
    };

    l = &p->line;
    t = p->table;
    key = &l->field[1];

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (key->len == ngx_strlen(keys[i])
            && ngx_memcmp(key->data, keys[i], key->len) == 0)
        {
            break;
        }
    }

    if (i == sizeof(keys) / sizeof(keys[0])) {
        return NGX_OK;
    }

    if (p->settings & (1u << i)) {
        return ngx_mesh_line_error(l, "setting", key, "one line of it");
    }

    p->settings |= 1u << i;

    switch (i) {

    case 0:
        rc = ngx_mesh_line_number(l, 2, keys[i], 0, NGX_MAX_OFF_T_VALUE,
                                  &value);
        if (rc == NGX_OK) {
            t->client_max_body_size = value;
        }

        return rc;

    case 1:
        return ngx_mesh_line_enum(l, 2, keys[i], "0, 1", ngx_mesh_booleans,
                                  &t->transparent);

    case 2:
        return ngx_mesh_line_enum(l, 2, keys[i], "debug, info, notice, warn, "
                                  "error, crit, alert, emerg",
                                  ngx_mesh_log_levels, &t->error_log_level);

    case 3:
        return ngx_mesh_line_enum(l, 2, keys[i], "default, json",
                                  ngx_mesh_log_formats, &t->log_json);

    default: /* 4 */
        rc = ngx_mesh_line_number(l, 2, keys[i], 1, 10000, &value);

        if (rc == NGX_OK) {
            t->server_first = value;
        }

        return rc;
    }
}
