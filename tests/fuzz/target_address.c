
/*
 * Addresses as text: what was read, written, and read again is the same.
 */


#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char           *text, *end, buf[NGX_SOCKADDR_STRLEN];
    ngx_int_t         rc;
    ngx_sockaddr_t    sa;
    ngx_mesh_addr_t   addr, again;

    core_init();
    ngx_memzero(&addr, sizeof(addr));
    ngx_memzero(&again, sizeof(again));

    text = malloc(size ? size : 1);
    ngx_memcpy(text, data, size);

    rc = ngx_mesh_addr_parse(text, size, &addr);

    free(text);

    if (rc != NGX_OK) {
        return 0;
    }

    end = ngx_mesh_addr_ip_text(buf, buf + sizeof(buf), &addr);

    fuzz_must(ngx_mesh_addr_parse(buf, end - buf, &again) == NGX_OK);
    fuzz_must(ngx_memcmp(addr.ip, again.ip, 16) == 0);

    (void) ngx_mesh_addr_text(buf, buf + sizeof(buf), &addr);
    (void) ngx_mesh_addr_sockaddr(&addr, &sa);

    fuzz_must(ngx_mesh_addr_of(&sa.sockaddr, &again) == NGX_OK);
    fuzz_must(ngx_memcmp(addr.ip, again.ip, 16) == 0);

    return 0;
}
