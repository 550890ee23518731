
/*
 * Keys of records, from traffic secrets (RFC 8446, 7.2 and 7.3).
 */


#include "ngx_mesh_record.h"
#include <openssl/core_names.h>
#include <openssl/kdf.h>


#define NGX_MESH_RECORD_KEY_MAX  32


struct ngx_mesh_suite_s {
    ngx_uint_t                id;            /* RFC 8446, B.4 */
    const char               *cipher_name;
    const char               *digest;
    size_t                    secret_size;
    size_t                    key_size;
    EVP_CIPHER               *cipher;        /* fetched once by a process */
};


static ngx_mesh_suite_t  ngx_mesh_suites[] = {
    { 0x1301, "AES-128-GCM", "SHA256", 32, 16, NULL },
    { 0x1302, "AES-256-GCM", "SHA384", 48, 32, NULL }
};

static EVP_KDF  *ngx_mesh_record_kdf;


/* NULL: not one of those that are done here */

ngx_mesh_suite_t *
ngx_mesh_record_suite(ngx_uint_t id)
{
    ngx_uint_t         i;
    ngx_mesh_suite_t  *suite;

    for (i = 0; i < sizeof(ngx_mesh_suites) / sizeof(ngx_mesh_suite_t); i++) {

        suite = &ngx_mesh_suites[i];

        if (suite->id != id) {
            continue;
        }

        if (suite->cipher == NULL) {
            suite->cipher = EVP_CIPHER_fetch(NULL, suite->cipher_name, NULL);
        }

        if (ngx_mesh_record_kdf == NULL) {
            ngx_mesh_record_kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
        }

        return suite->cipher && ngx_mesh_record_kdf ? suite : NULL;
    }

    return NULL;
}


size_t
ngx_mesh_record_secret_size(ngx_mesh_suite_t *suite)
{
    return suite->secret_size;
}


/* HKDF-Expand-Label with an empty context */

static ngx_int_t
ngx_mesh_record_expand(ngx_mesh_record_key_t *key, const char *label,
    u_char *to, size_t size)
{
    int           mode, rc;
    OSSL_PARAM    params[6], *p;
    EVP_KDF_CTX  *kdf;

    kdf = EVP_KDF_CTX_new(ngx_mesh_record_kdf);
    if (kdf == NULL) {
        return NGX_ERROR;
    }

    mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    p = params;

    *p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                            (char *) key->suite->digest, 0);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key->secret,
                                             key->suite->secret_size);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX,
                                             (void *) "tls13 ", 6);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL,
                                             (void *) label,
                                             ngx_strlen(label));
    *p = OSSL_PARAM_construct_end();

    rc = EVP_KDF_derive(kdf, to, size, params);

    EVP_KDF_CTX_free(kdf);

    return rc == 1 ? NGX_OK : NGX_ERROR;
}


/* "cipher" is NULL, and "encrypt" -1, where they stay what they are */

static ngx_int_t
ngx_mesh_record_key_set(ngx_mesh_record_key_t *key, EVP_CIPHER *cipher,
    int encrypt)
{
    int     rc;
    u_char  bytes[NGX_MESH_RECORD_KEY_MAX];

    key->sequence = 0;

    if (ngx_mesh_record_expand(key, "key", bytes, key->suite->key_size)
        != NGX_OK
        || ngx_mesh_record_expand(key, "iv", key->iv, NGX_MESH_RECORD_IV)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = EVP_CipherInit_ex(key->cipher, cipher, NULL, bytes, NULL, encrypt);

    OPENSSL_cleanse(bytes, sizeof(bytes));

    return rc == 1 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_mesh_record_key_init(ngx_mesh_record_key_t *key, ngx_mesh_suite_t *suite,
    u_char *secret, int encrypt)
{
    key->suite = suite;
    key->cipher = EVP_CIPHER_CTX_new();

    if (key->cipher == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(key->secret, secret, suite->secret_size);

    return ngx_mesh_record_key_set(key, suite->cipher, encrypt);
}


/* the next secret, and the key that it gives */

ngx_int_t
ngx_mesh_record_key_update(ngx_mesh_record_key_t *key)
{
    u_char     next[NGX_MESH_SECRET_MAX];
    ngx_int_t  rc;

    rc = ngx_mesh_record_expand(key, "traffic upd", next,
                                key->suite->secret_size);

    if (rc == NGX_OK) {
        ngx_memcpy(key->secret, next, key->suite->secret_size);
        rc = ngx_mesh_record_key_set(key, NULL, -1);
    }

    OPENSSL_cleanse(next, sizeof(next));

    return rc;
}


void
ngx_mesh_record_key_free(ngx_mesh_record_key_t *key)
{
    EVP_CIPHER_CTX_free(key->cipher);
    OPENSSL_cleanse(key, sizeof(ngx_mesh_record_key_t));
}


/* of the next record */

void
ngx_mesh_record_nonce(ngx_mesh_record_key_t *key, u_char *nonce)
{
    uint64_t    sequence;
    ngx_uint_t  i;

    ngx_memcpy(nonce, key->iv, NGX_MESH_RECORD_IV);

    sequence = key->sequence++;

    for (i = NGX_MESH_RECORD_IV - 1; sequence; i--) {
        nonce[i] ^= (u_char) sequence;
        sequence >>= 8;
    }
}
