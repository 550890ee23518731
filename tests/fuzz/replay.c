
/*
 * The targets without a fuzzing engine: every seed as it is, then changed at
 * random so many times.
 *
 *     replay <changes> <random seed> <file>...
 */


#include "fuzz.h"


#define REPLAY_MAX  65536


typedef struct {
    u_char                    data[REPLAY_MAX];
    size_t                    size;
} replay_input_t;


static const char  *replay_tokens[] = {
    "\t", "\n", "-", "0", "65536", "4294967296", "18446744073709551616", "::",
    "spiffe://example.org/", "end\t", "nsm/1", "-----END CERTIFICATE-----",
    "\x16\x03\x01", "\xff\xff", "\x30\x82", "\x86\x80"
};


static void
replay_read(const char *path, replay_input_t *input)
{
    FILE  *file;

    file = fopen(path, "rb");
    fuzz_must(file != NULL);

    input->size = fread(input->data, 1, REPLAY_MAX, file);

    fclose(file);
}


/* put "size" bytes in the place of "cut" bytes at "at" */

static void
replay_put(replay_input_t *input, size_t at, size_t cut, const void *bytes,
    size_t size)
{
    u_char  copy[64];

    cut = ngx_min(cut, input->size - at);
    size = ngx_min(size, sizeof(copy));

    if (input->size - cut + size > REPLAY_MAX) {
        return;
    }

    /* the bytes may be the input's own */

    ngx_memcpy(copy, bytes, size);
    ngx_memmove(input->data + at + size, input->data + at + cut,
                input->size - at - cut);
    ngx_memcpy(input->data + at, copy, size);

    input->size = input->size - cut + size;
}


static void
replay_change(replay_input_t *input)
{
    size_t       at, from;
    u_char       byte;
    const char  *token;

    at = (size_t) random() % (input->size + 1);

    switch (random() % 5) {

    case 0:
        byte = (u_char) random();
        replay_put(input, at, 1, &byte, 1);
        return;

    case 1:
        byte = at < input->size ? input->data[at] ^ (1 << random() % 8) : 0;
        replay_put(input, at, 1, &byte, 1);
        return;

    case 2:
        replay_put(input, at, (size_t) random() % 64, "", 0);
        return;

    case 3:
        token = replay_tokens[random() % (sizeof(replay_tokens)
                                          / sizeof(replay_tokens[0]))];
        replay_put(input, at, (size_t) random() % 4, token, strlen(token));
        return;

    default:
        from = (size_t) random() % (input->size + 1);
        replay_put(input, at, 0, input->data + from,
                   ngx_min((size_t) random() % 64, input->size - from));
    }
}


int
main(int argc, char **argv)
{
    int                    i;
    long                   changes, n;
    static replay_input_t  seed, input;

    fuzz_must(argc > 3);

    changes = atol(argv[1]);
    srandom((unsigned) atol(argv[2]));

    for (i = 3; i < argc; i++) {

        replay_read(argv[i], &seed);
        (void) LLVMFuzzerTestOneInput(seed.data, seed.size);

        for (n = 0; n < changes / (argc - 3); n++) {

            input.size = seed.size;
            ngx_memcpy(input.data, seed.data, seed.size);

            do {
                replay_change(&input);
            } while (random() % 3);

            (void) LLVMFuzzerTestOneInput(input.data, input.size);
        }
    }

    return 0;
}
