
/*
 * Chains that were verified before (ngx_mesh_chains.c), without connections
 * and with a clock of its own.  Each line of the output is a step: its name,
 * whether the chain was accepted, OpenSSL's error, and whether it was known.
 */


#include "core.h"
#include "ngx_mesh_identity.h"


#define DRIVER_MANY  1000
#define DRIVER_HOUR  3600


typedef struct {
    EVP_PKEY  *key;
    X509      *cert;
} driver_authority_t;


/* OpenSSL and the module ask this clock */

static time_t  driver_now = 1800000000;


__attribute__((visibility("default")))
time_t
time(time_t *t)
{
    if (t) {
        *t = driver_now;
    }

    return driver_now;
}


static void
driver_must(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}


static void
driver_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX       ctx;
    X509_EXTENSION  *extension;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);

    driver_must(extension && X509_add_ext(cert, extension, -1), value);
    X509_EXTENSION_free(extension);
}


/* "by" NULL: it signs itself; valid for "seconds" from now */

static X509 *
driver_certificate(driver_authority_t *by, EVP_PKEY *key, const char *name,
    const char *usage, time_t seconds, int ca)
{
    X509  *cert, *issuer;

    static long  serial;

    cert = X509_new();
    issuer = by ? by->cert : cert;

    driver_must(cert
                && X509_set_version(cert, X509_VERSION_3)
                && ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial)
                && ASN1_TIME_set(X509_getm_notBefore(cert), driver_now)
                && ASN1_TIME_set(X509_getm_notAfter(cert),
                                 driver_now + seconds)
                && X509_NAME_add_entry_by_txt(X509_get_subject_name(cert),
                                              "O", MBSTRING_ASC,
                                              (u_char *) name, -1, -1, 0)
                && X509_set_issuer_name(cert, X509_get_subject_name(issuer))
                && X509_set_pubkey(cert, key),
                "a certificate");

    driver_extension(cert, issuer, NID_basic_constraints,
                     ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    driver_extension(cert, issuer, NID_key_usage,
                     ca ? "critical,keyCertSign" : "critical,digitalSignature");

    if (usage) {
        driver_extension(cert, issuer, NID_ext_key_usage, usage);
    }

    driver_must(X509_sign(cert, by ? by->key : key, EVP_sha256()), "signing");

    return cert;
}


static void
driver_authority(driver_authority_t *made, driver_authority_t *by,
    const char *name, time_t seconds)
{
    made->key = EVP_EC_gen("P-256");
    made->cert = driver_certificate(by, made->key, name, NULL, seconds, 1);
}


static void
driver_authority_free(driver_authority_t *authority)
{
    X509_free(authority->cert);
    EVP_PKEY_free(authority->key);
}


static ngx_mesh_bundle_t *
driver_bundle(driver_authority_t *authority)
{
    BIO                *bio;
    char               *data;
    u_char              text[NGX_MESH_ERROR_MAX];
    ngx_str_t           pem, error;
    ngx_mesh_bundle_t  *bundle;

    bio = BIO_new(BIO_s_mem());
    error.data = text;

    driver_must(bio && PEM_write_bio_X509(bio, authority->cert), "PEM");

    pem.len = BIO_get_mem_data(bio, &data);
    pem.data = (u_char *) data;

    bundle = ngx_mesh_bundle_read(&pem, &error);
    driver_must(bundle != NULL, "a bundle");

    BIO_free(bio);

    return bundle;
}


/* nginx's own, in every context that it makes */

static int
driver_overlook(int ok, X509_STORE_CTX *ctx)
{
    return 1;
}


/* as OpenSSL asks for it in a handshake whose bundle was "of" */

static int
driver_verify(ngx_mesh_bundle_t *bundle, ngx_mesh_bundle_t *of, X509 *leaf,
    X509 *more, ngx_mesh_direction_e direction, int *error)
{
    int              ok;
    X509_STORE_CTX  *ctx;
    STACK_OF(X509)  *sent;

    sent = sk_X509_new_null();
    ctx = X509_STORE_CTX_new();

    driver_must(sent && ctx && sk_X509_push(sent, leaf)
                && (more == NULL || sk_X509_push(sent, more))
                && X509_STORE_CTX_init(ctx, of->store, leaf, sent)
                && X509_STORE_CTX_set_default(ctx,
                                              direction == NGX_MESH_INCOMING
                                              ? "ssl_client" : "ssl_server"),
                "a context");

    X509_STORE_CTX_set_verify_cb(ctx, driver_overlook);

    ok = ngx_mesh_chains_verify(bundle->chains, ctx, direction);
    *error = X509_STORE_CTX_get_error(ctx);

    X509_STORE_CTX_free(ctx);
    sk_X509_free(sent);

    return ok;
}


static void
driver_step(const char *name, ngx_mesh_bundle_t *bundle,
    ngx_mesh_bundle_t *of, X509 *leaf, X509 *more,
    ngx_mesh_direction_e direction)
{
    int         ok, error;
    ngx_uint_t  before;

    before = ngx_mesh.known_chains;
    ok = driver_verify(bundle, of, leaf, more, direction, &error);

    printf("%s %d %d %d\n", name, ok, error,
           (int) (ngx_mesh.known_chains - before));
}


/* more peers than there is room for: all are accepted, some are forgotten */

static void
driver_many(ngx_mesh_bundle_t *bundle, driver_authority_t *root, EVP_PKEY *key)
{
    int         i, error, accepted;
    X509       *leaf[DRIVER_MANY];
    ngx_uint_t  before;

    accepted = 0;

    for (i = 0; i < DRIVER_MANY; i++) {
        leaf[i] = driver_certificate(root, key, "pod", NULL, DRIVER_HOUR, 0);
        accepted += driver_verify(bundle, bundle, leaf[i], NULL,
                                  NGX_MESH_INCOMING, &error);
    }

    before = ngx_mesh.known_chains;

    /* the newest first, or remembering one again would push it out */

    for (i = DRIVER_MANY - 1; i >= 0; i--) {
        accepted += driver_verify(bundle, bundle, leaf[i], NULL,
                                  NGX_MESH_INCOMING, &error);
        X509_free(leaf[i]);
    }

    printf("many %d 0 %d\n", accepted == 2 * DRIVER_MANY,
           (int) (ngx_mesh.known_chains - before));
}


int
main(void)
{
    X509                *leaf, *twin, *caller, *deep;
    EVP_PKEY            *key;
    ngx_mesh_bundle_t   *bundle, *same, *other;
    driver_authority_t   root, middle, stranger;

    core_init();

    key = EVP_EC_gen("P-256");
    driver_authority(&root, NULL, "SPIFFE", 24 * DRIVER_HOUR);
    driver_authority(&stranger, NULL, "SPIFFE", 24 * DRIVER_HOUR);
    driver_authority(&middle, &root, "middle", DRIVER_HOUR / 2);

    bundle = driver_bundle(&root);
    same = driver_bundle(&root);
    other = driver_bundle(&stranger);

    leaf = driver_certificate(&root, key, "pod", NULL, DRIVER_HOUR, 0);
    twin = driver_certificate(&stranger, key, "pod", NULL, DRIVER_HOUR, 0);
    caller = driver_certificate(&root, key, "pod", "clientAuth", DRIVER_HOUR,
                                0);
    deep = driver_certificate(&middle, key, "pod", NULL, DRIVER_HOUR, 0);

#define STEP(name, of, cert, more, direction)                                 \
    driver_step(name, bundle, of, cert, more, direction)

    STEP("first", bundle, leaf, NULL, NGX_MESH_INCOMING);
    STEP("again", bundle, leaf, NULL, NGX_MESH_INCOMING);
    STEP("other-side", bundle, leaf, NULL, NGX_MESH_OUTGOING);
    STEP("other-side-again", bundle, leaf, NULL, NGX_MESH_OUTGOING);
    STEP("more-sent", bundle, leaf, middle.cert, NGX_MESH_INCOMING);

    STEP("twin", bundle, twin, NULL, NGX_MESH_INCOMING);
    STEP("twin-again", bundle, twin, NULL, NGX_MESH_INCOMING);

    STEP("caller", bundle, caller, NULL, NGX_MESH_INCOMING);
    STEP("caller-again", bundle, caller, NULL, NGX_MESH_INCOMING);
    STEP("caller-serves", bundle, caller, NULL, NGX_MESH_OUTGOING);

    STEP("bundle-before", other, leaf, NULL, NGX_MESH_INCOMING);
    STEP("bundle-after", bundle, leaf, NULL, NGX_MESH_INCOMING);

    driver_step("new-bundle", same, same, leaf, NULL, NGX_MESH_INCOMING);
    driver_step("root-gone", other, other, leaf, NULL, NGX_MESH_INCOMING);

    STEP("deep", bundle, deep, middle.cert, NGX_MESH_INCOMING);
    STEP("deep-again", bundle, deep, middle.cert, NGX_MESH_INCOMING);
    STEP("deep-alone", bundle, deep, NULL, NGX_MESH_INCOMING);

    driver_now -= 1;
    STEP("too-early", bundle, leaf, NULL, NGX_MESH_INCOMING);

    driver_now += DRIVER_HOUR / 2;
    STEP("middle-until", bundle, deep, middle.cert, NGX_MESH_INCOMING);

    driver_now += 1;
    STEP("middle-expired", bundle, deep, middle.cert, NGX_MESH_INCOMING);

    driver_now += DRIVER_HOUR / 2 - 1;
    STEP("until", bundle, leaf, NULL, NGX_MESH_INCOMING);

    driver_now += 1;
    STEP("expired", bundle, leaf, NULL, NGX_MESH_INCOMING);

    driver_many(bundle, &root, key);

    X509_free(leaf);
    X509_free(twin);
    X509_free(caller);
    X509_free(deep);
    EVP_PKEY_free(key);

    ngx_mesh_bundle_free(bundle);
    ngx_mesh_bundle_free(same);
    ngx_mesh_bundle_free(other);

    driver_authority_free(&root);
    driver_authority_free(&stranger);
    driver_authority_free(&middle);

    return 0;
}
