
/*
 * Patterns and what they are searched in: up to the first line feed the
 * pattern, behind it the text.  What a search comes to must not depend on
 * when it became machine code, and is what PCRE2 says without all that saves
 * time here.
 */


#include "fuzz.h"
#include "ngx_mesh_match.h"

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>


#define TARGET_SEARCHES  20


static ngx_int_t
target_header(void *data, ngx_mesh_criterion_t *c, ngx_str_t *value)
{
    ngx_str_t  *text = data;

    *value = *text;

    return NGX_OK;
}


static void
target_compare(ngx_mesh_regex_t *re, ngx_str_t *pattern, ngx_str_t *text)
{
    int                   err, rc;
    ngx_int_t             found;
    PCRE2_SIZE            at;
    pcre2_code           *code;
    pcre2_match_data     *data;
    pcre2_match_context  *limits;

    found = ngx_mesh_regex_search(re, text);

    if (found == NGX_ERROR || text->len > 1000) {
        return;
    }

    code = pcre2_compile(pattern->data, pattern->len, PCRE2_NEVER_UTF, &err,
                         &at, NULL);
    data = pcre2_match_data_create(1, NULL);
    limits = pcre2_match_context_create(NULL);

    fuzz_must(code && data && limits);

    (void) pcre2_set_match_limit(limits, 10000);

    rc = pcre2_match(code, text->data, text->len, 0, PCRE2_NO_JIT, data,
                     limits);

    fuzz_must(rc < PCRE2_ERROR_NOMATCH
              || (found == NGX_OK) == (rc != PCRE2_ERROR_NOMATCH));

    pcre2_match_context_free(limits);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
}


static void
target_search(ngx_mesh_regex_t *re, ngx_str_t *text)
{
    ngx_int_t              first, rc;
    ngx_str_t              method = ngx_string("GET");
    ngx_uint_t             i;
    ngx_mesh_match_t       m;
    ngx_mesh_subject_t     subject;
    ngx_mesh_criterion_t   c;

    ngx_memzero(&m, sizeof(ngx_mesh_match_t));
    ngx_memzero(&c, sizeof(ngx_mesh_criterion_t));

    c.value = re;
    m.path = re;
    m.headers = &c;

    subject.path = text;
    subject.method = &method;
    subject.header = target_header;
    subject.data = text;

    first = ngx_mesh_match(&m, &subject);

    for (i = 0; i < TARGET_SEARCHES && first != NGX_ERROR; i++) {

        rc = ngx_mesh_match(&m, &subject);

        fuzz_must(rc == first || rc == NGX_ERROR);
    }
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char              *end;
    ngx_str_t            pattern, text;
    ngx_pool_t          *pool;
    const char          *wrong;
    ngx_mesh_regex_t    *re;
    ngx_mesh_regexes_t  *set;

    core_init();

    end = ngx_strlchr((u_char *) data, (u_char *) data + size, LF);

    if (end == NULL) {
        return 0;
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);

    /* places of their own: what is read behind an end is seen */

    pattern.len = end - data;
    pattern.data = ngx_pnalloc(pool, pattern.len + 1);
    ngx_memcpy(pattern.data, data, pattern.len);

    text.len = size - pattern.len - 1;
    text.data = ngx_pnalloc(pool, text.len + !text.len);
    ngx_memcpy(text.data, end + 1, text.len);

    set = ngx_mesh_regexes(pool, 1);
    re = ngx_mesh_regex(set, &pattern);

    fuzz_must(re && ngx_mesh_regex(set, &pattern) == re);

    wrong = ngx_mesh_regex_wrong(re);

    if (wrong) {
        fuzz_must(ngx_strlen(wrong) < NGX_MESH_PATTERN_ERROR_MAX);
        fuzz_must(ngx_mesh_regex_search(re, &text) == NGX_ERROR);

    } else {
        target_search(re, &text);
        target_compare(re, &pattern, &text);
    }

    ngx_destroy_pool(pool);

    return 0;
}
