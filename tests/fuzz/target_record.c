
/*
 * Records of TLS 1.3, made and read with the same keys.  The input is a list
 * of what a peer does: honest records, records of any kind with any padding,
 * new keys, changed bits, bytes that are no records, and where the wire is
 * cut into reads.
 *
 * What comes out is what went in, up to the first fault, and faults are told.
 */


#include "fuzz.h"
#include "ngx_mesh_record.h"


#define TARGET_WIRE_MAX  (1 << 20)


typedef struct {
    ngx_mesh_records_t        peer;          /* writes */
    ngx_mesh_records_t        self;          /* reads */
    u_char                    wire[TARGET_WIRE_MAX];
    u_char                   *last;
    u_char                    said[TARGET_WIRE_MAX];
    size_t                    nsaid;
    size_t                    nheard;
    unsigned                  foul:1;        /* not all of it is honest */
} target_t;


static target_t  target;


static void
target_record(const u_char *data, size_t size, ngx_uint_t type, size_t zeros)
{
    u_char         *to, byte;
    static u_char   none[256];

    to = target.last;

    if (zeros == 0) {
        to = ngx_mesh_record_begin(&target.peer, to, size);
        fuzz_must(to);
        to = ngx_mesh_record_add(&target.peer, to, (u_char *) data, size);
        fuzz_must(to);
        to = ngx_mesh_record_end(&target.peer, to, type);

    } else {

        /* the type, and zeros behind it, of which "end" writes the last */

        byte = (u_char) type;

        to = ngx_mesh_record_begin(&target.peer, to, size + zeros);
        fuzz_must(to);
        to = ngx_mesh_record_add(&target.peer, to, (u_char *) data, size);
        fuzz_must(to);
        to = ngx_mesh_record_add(&target.peer, to, &byte, 1);
        fuzz_must(to);
        to = ngx_mesh_record_add(&target.peer, to, none, zeros - 1);
        fuzz_must(to);
        to = ngx_mesh_record_end(&target.peer, to, 0);
    }

    fuzz_must(to);
    target.last = to;
}


/* how many bytes of the input it took */

static size_t
target_act(const u_char *data, size_t size)
{
    size_t         n;
    u_char         update[] = { 24, 0, 0, 1, 0 };
    static u_char  text[NGX_MESH_RECORD_PLAIN];

    if (size < 4
        || target.wire + TARGET_WIRE_MAX - target.last
           < 2 * NGX_MESH_RECORD_MAX)
    {
        return size;
    }

    n = (data[1] << 8 | data[2]) % (NGX_MESH_RECORD_PLAIN + 1);

    switch (data[0] % 6) {

    case 0:
        ngx_memset(text, data[3], n);
        ngx_memcpy(target.said + target.nsaid, text, n);
        target.nsaid += n;
        target_record(text, n, NGX_MESH_RECORD_IS_DATA, data[3] % 4 * 64);
        return 4;

    case 1:
        update[4] = data[1] & 1;
        target_record(update, sizeof(update), NGX_MESH_RECORD_IS_HANDSHAKE, 0);
        fuzz_must(ngx_mesh_record_key_update(&target.peer.out) == NGX_OK);
        return 2;

    case 2:
        n = ngx_min(data[1] % 64, size - 4);
        target_record(data + 4, n, data[2], data[3]);
        target.foul = 1;
        return 4 + n;

    case 3:
        if (target.last != target.wire) {
            n %= target.last - target.wire;
            target.last[-1 - (ssize_t) n] ^= data[3];
            target.foul = 1;
        }

        return 4;

    case 4:
        n = ngx_min(data[1] % 64, size - 2);
        ngx_memcpy(target.last, data + 2, n);
        target.last += n;
        target.foul = 1;
        return 2 + n;

    default:
        target.peer.answer = 1;
        return 1;
    }
}


/* "part" bytes at a time, in memory of exactly that size */

static ngx_int_t
target_read(size_t part)
{
    size_t      have, n;
    u_char     *pos, *in, *from, *out, *to;
    ngx_int_t   rc;

    rc = NGX_OK;
    have = 0;

    for (pos = target.wire; pos < target.last && rc == NGX_OK; /* void */ ) {

        n = ngx_min(part, (size_t) (target.last - pos));
        pos += n;
        have += n;

        in = malloc(have);
        out = malloc(have);
        ngx_memcpy(in, pos - have, have);

        from = in;
        to = out;
        rc = ngx_mesh_records_open(&target.self, &from, in + have, &to,
                                   out + have);

        fuzz_must(from >= in && from <= in + have);
        fuzz_must(to >= out && to <= out + have);

        if (rc != NGX_ERROR) {
            n = to - out;
            fuzz_must(target.foul || target.nheard + n <= target.nsaid);
            fuzz_must(target.foul
                      || ngx_memcmp(target.said + target.nheard, out, n)
                         == 0);
            target.nheard += n;
            have -= from - in;
            fuzz_must(rc == NGX_DONE || have < NGX_MESH_RECORD_MAX);
        }

        free(in);
        free(out);
    }

    return rc;
}


int
LLVMFuzzerTestOneInput(const u_char *data, size_t size)
{
    u_char             secret[NGX_MESH_SECRET_MAX] = "traffic";
    ngx_int_t          rc;
    ngx_mesh_suite_t  *suite;

    core_init();

    if (size < 2) {
        return 0;
    }

    ngx_memzero(&target.peer, sizeof(ngx_mesh_records_t));
    ngx_memzero(&target.self, sizeof(ngx_mesh_records_t));
    target.last = target.wire;
    target.nsaid = 0;
    target.nheard = 0;
    target.foul = 0;

    suite = ngx_mesh_record_suite(data[0] & 1 ? 0x1301 : 0x1302);
    fuzz_must(suite);
    fuzz_must(ngx_mesh_records_init(&target.peer, suite, secret, secret)
              == NGX_OK);
    fuzz_must(ngx_mesh_records_init(&target.self, suite, secret, secret)
              == NGX_OK);

    target.self.is_server = data[0] >> 1 & 1;

    /* a new key of its own after so many records */

    target.peer.rekey = data[0] & 4 ? 3 : NGX_MESH_RECORD_REKEY;

    rc = (data[1] + 1) * 97;

    for (data += 2, size -= 2; size; /* void */ ) {
        size_t  n = target_act(data, size);

        data += n;
        size -= n;
    }

    rc = target_read((size_t) rc);

    if (rc == NGX_OK && !target.foul) {
        fuzz_must(target.nheard == target.nsaid);
    }

    fuzz_must(rc != NGX_ERROR || target.self.alert || target.self.told);

    ngx_mesh_records_free(&target.peer);
    ngx_mesh_records_free(&target.self);

    return 0;
}
