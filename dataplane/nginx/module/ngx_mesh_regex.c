
/*
 * Patterns of policies, compiled and searched with PCRE2.
 *
 * nginx's own ngx_regex bounds nothing: a pattern with nested repeats takes
 * a text of some dozen bytes hours.  Whoever may write a policy, or send a
 * request to a pod that has one, must not hold a worker.
 */


#include "ngx_mesh_regex.h"

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>


/*
 * Steps of one search from one place of the text, from all of them together,
 * and kilobytes for what it may have to come back to.  What patterns of
 * routes need is some hundreds.
 */
#define NGX_MESH_REGEX_STEPS      10000
#define NGX_MESH_REGEX_STEPS_ALL  10000000
#define NGX_MESH_REGEX_HEAP       1024

/* machine code costs some kilobytes: for what is searched more than this */
#define NGX_MESH_REGEX_JIT_AFTER  16

/* compiled patterns beyond this size are a hundred times as large as code */
#define NGX_MESH_REGEX_JIT_MAX    (8 * 1024)


struct ngx_mesh_regex_s {
    pcre2_code               *code;          /* NULL: see wrong */
    const char               *wrong;
    ngx_str_t                 pattern;
    ngx_str_t                 prefix;        /* every text begins with it */
    ngx_mesh_regex_t         *next;
    ngx_uint_t                searches;      /* until there is machine code */
    unsigned                  whole:1;       /* the prefix is all there is */
    unsigned                  anchored:1;    /* searched from one place */
};


/* of the worker, as long as it lives */

static pcre2_match_context    *ngx_mesh_regex_limits;
static pcre2_match_data       *ngx_mesh_regex_data;
static pcre2_compile_context  *ngx_mesh_regex_rules;


static ngx_int_t
ngx_mesh_regex_init(void)
{
    if (ngx_mesh_regex_data) {
        return NGX_OK;
    }

    if (ngx_mesh_regex_rules == NULL) {
        ngx_mesh_regex_rules = pcre2_compile_context_create(NULL);
    }

    if (ngx_mesh_regex_limits == NULL) {
        ngx_mesh_regex_limits = pcre2_match_context_create(NULL);
    }

    if (ngx_mesh_regex_rules == NULL || ngx_mesh_regex_limits == NULL) {
        return NGX_ERROR;
    }

    pcre2_set_heap_limit(ngx_mesh_regex_limits, NGX_MESH_REGEX_HEAP);

    /* nobody asks where a pattern was found: one pair of places is enough */

    ngx_mesh_regex_data = pcre2_match_data_create(1, NULL);

    return ngx_mesh_regex_data ? NGX_OK : NGX_ERROR;
}


static void
ngx_mesh_regexes_free(void *data)
{
    ngx_mesh_regexes_t *set = data;

    ngx_mesh_regex_t  *re;

    for (re = set->last; re; re = re->next) {
        pcre2_code_free(re->code);
    }
}


ngx_mesh_regexes_t *
ngx_mesh_regexes(ngx_pool_t *pool, ngx_uint_t n)
{
    ngx_uint_t           size;
    ngx_pool_cleanup_t  *cln;
    ngx_mesh_regexes_t  *set;

    if (ngx_mesh_regex_init() != NGX_OK) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_mesh_regexes_t));
    if (cln == NULL) {
        return NULL;
    }

    set = cln->data;
    ngx_memzero(set, sizeof(ngx_mesh_regexes_t));

    for (size = 8; size < 2 * n; size *= 2) { /* void */ }

    set->pool = pool;
    set->mask = size - 1;
    set->slots = ngx_pcalloc(pool, size * sizeof(ngx_mesh_regex_t *));

    if (set->slots == NULL) {
        return NULL;
    }

    cln->handler = ngx_mesh_regexes_free;

    return set;
}


static ngx_mesh_regex_t **
ngx_mesh_regex_slot(ngx_mesh_regexes_t *set, ngx_str_t *pattern)
{
    ngx_uint_t         i;
    ngx_mesh_regex_t  *re;

    i = ngx_murmur_hash2(pattern->data, pattern->len) & set->mask;

    for ( ;; ) {
        re = set->slots[i];

        if (re == NULL
            || (re->pattern.len == pattern->len
                && ngx_memcmp(re->pattern.data, pattern->data, pattern->len)
                   == 0))
        {
            return &set->slots[i];
        }

        i = (i + 1) & set->mask;
    }
}


static ngx_uint_t
ngx_mesh_regex_is_literal(u_char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
           || (ch >= '0' && ch <= '9') || ch == '/' || ch == '-' || ch == '_'
           || ch == '~' || ch == ':' || ch == '@' || ch == '=' || ch == ','
           || ch == '%' || ch == '&' || ch == ';';
}


/*
 * "^/shop/" needs no search, and of "^/shop/[0-9]+" most other texts are told
 * by their first bytes.  Alternatives could begin otherwise; no other thing
 * that stands behind "^" changes what the bytes right after it mean.
 */

static ngx_int_t
ngx_mesh_regex_prefix(ngx_mesh_regexes_t *set, ngx_mesh_regex_t *re)
{
    u_char  *p, *last, *dst;

    p = re->pattern.data;
    last = p + re->pattern.len;

    if (p == last || *p != '^' || ngx_strlchr(p, last, '|')) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(set->pool, re->pattern.len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    re->prefix.data = dst;

    for (p++; p < last; p++) {

        if (last - p > 1 && *p == '\\' && (p[1] == '.' || p[1] == '/')) {
            p++;

        } else if (!ngx_mesh_regex_is_literal(*p)) {
            break;
        }

        *dst++ = *p;
    }

    /* a repeat may stand right behind the last byte, or behind "\E", "\Q\E"
       or a comment that come between */

    if (p < last && ngx_strchr("*?{\\(", *p) && dst > re->prefix.data) {
        dst--;
    }

    re->prefix.len = dst - re->prefix.data;
    re->whole = (p == last);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_regex_compile(ngx_mesh_regexes_t *set, ngx_mesh_regex_t *re)
{
    int          err;
    u_char      *p, text[NGX_MESH_PATTERN_ERROR_MAX];
    uint32_t     options;
    PCRE2_SIZE   offset;

    if (re->pattern.len > NGX_MESH_PATTERN_MAX) {
        re->wrong = "at most " ngx_value(NGX_MESH_PATTERN_MAX) " bytes";
        return NGX_OK;
    }

    /* what is matched is bytes, which need not be UTF-8 */

    re->code = pcre2_compile(re->pattern.data, re->pattern.len,
                             PCRE2_NEVER_UTF, &err, &offset,
                             ngx_mesh_regex_rules);

    if (re->code) {
        options = 0;
        (void) pcre2_pattern_info(re->code, PCRE2_INFO_ALLOPTIONS, &options);
        re->anchored = (options & PCRE2_ANCHORED) != 0;

        return ngx_mesh_regex_prefix(set, re);
    }

    p = ngx_pnalloc(set->pool, NGX_MESH_PATTERN_ERROR_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    re->wrong = (char *) p;

    (void) pcre2_get_error_message(err, text, sizeof(text));
    (void) ngx_snprintf(p, NGX_MESH_PATTERN_ERROR_MAX,
                        "a PCRE2 pattern (at %uz: %s)%Z", (size_t) offset,
                        text);
    p[NGX_MESH_PATTERN_ERROR_MAX - 1] = '\0';

    return NGX_OK;
}


ngx_mesh_regex_t *
ngx_mesh_regex(ngx_mesh_regexes_t *set, ngx_str_t *pattern)
{
    ngx_mesh_regex_t  **slot, *re;

    slot = ngx_mesh_regex_slot(set, pattern);

    if (*slot) {
        return *slot;
    }

    re = ngx_pcalloc(set->pool, sizeof(ngx_mesh_regex_t));
    if (re == NULL) {
        return NULL;
    }

    re->pattern = *pattern;

    /* freed with the set, whatever comes */

    re->next = set->last;
    set->last = re;

    if (ngx_mesh_regex_compile(set, re) != NGX_OK) {
        return NULL;
    }

    *slot = re;

    return re;
}


const char *
ngx_mesh_regex_wrong(ngx_mesh_regex_t *re)
{
    return re->wrong;
}


size_t
ngx_mesh_regex_size(ngx_mesh_regex_t *re)
{
    size_t  code, machine;

    code = 0;
    machine = 0;

    (void) pcre2_pattern_info(re->code, PCRE2_INFO_SIZE, &code);
    (void) pcre2_pattern_info(re->code, PCRE2_INFO_JITSIZE, &machine);

    return code + machine;
}


/* where there is no memory that may be executed, searches are interpreted */

static void
ngx_mesh_regex_jit(ngx_mesh_regex_t *re)
{
    re->searches++;

    if (re->searches == NGX_MESH_REGEX_JIT_AFTER
        && ngx_mesh_regex_size(re) <= NGX_MESH_REGEX_JIT_MAX)
    {
        (void) pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
    }
}


ngx_int_t
ngx_mesh_regex_search(ngx_mesh_regex_t *re, ngx_str_t *text)
{
    int       rc;
    uint32_t  steps;

    if (re->wrong) {
        return NGX_ERROR;
    }

    if (re->prefix.len
        && (text->len < re->prefix.len
            || ngx_memcmp(text->data, re->prefix.data, re->prefix.len) != 0))
    {
        return NGX_DECLINED;
    }

    if (re->whole) {
        return NGX_OK;
    }

    if (re->searches < NGX_MESH_REGEX_JIT_AFTER) {
        ngx_mesh_regex_jit(re);
    }

    /* PCRE2 counts anew from each place: long texts have many */

    steps = NGX_MESH_REGEX_STEPS;

    if (!re->anchored) {
        steps = ngx_min(steps, NGX_MESH_REGEX_STEPS_ALL / (text->len + 1));
    }

    pcre2_set_match_limit(ngx_mesh_regex_limits, steps);

    rc = pcre2_match(re->code, text->data, text->len, 0, 0,
                     ngx_mesh_regex_data, ngx_mesh_regex_limits);

    /* machine code has a small stack: what it cannot hold is interpreted */

    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        rc = pcre2_match(re->code, text->data, text->len, 0, PCRE2_NO_JIT,
                         ngx_mesh_regex_data, ngx_mesh_regex_limits);
    }

    /* 0: found, with more groups than there are places for */

    if (rc >= 0) {
        return NGX_OK;
    }

    return rc == PCRE2_ERROR_NOMATCH ? NGX_DECLINED : NGX_ERROR;
}
