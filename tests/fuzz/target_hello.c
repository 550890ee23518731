
/*
 * The peek at the first bytes of a connection.  A verdict on a part of them
 * must be that on the whole: more bytes change nothing.
 */


#include "fuzz.h"
#include "ngx_stream_mesh_hello.h"


static ngx_stream_mesh_hello_e
target_peek(const u_char *data, size_t size)
{
    u_char                   *copy;
    ngx_stream_mesh_hello_e   verdict;

    /* of exactly this size: a read behind it is seen */

    copy = malloc(size ? size : 1);
    ngx_memcpy(copy, data, size);

    verdict = ngx_stream_mesh_hello(copy, copy + size);

    free(copy);

    return verdict;
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    size_t                   part;
    ngx_stream_mesh_hello_e  whole, verdict;

    whole = target_peek(data, size);

    for (part = 0; part < size; part += 1 + size / 16) {

        verdict = target_peek(data, part);

        fuzz_must(verdict == NGX_STREAM_MESH_HELLO_MORE || verdict == whole);
    }

    return 0;
}
