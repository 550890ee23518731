
/*
 * Chains of peers that were verified under a trust bundle, so that the next
 * handshake with the same peer need not do it again (docs/adr/0015).
 *
 * INVARIANT: a chain is known only by the very bytes of every certificate of
 * it, for the side of the handshake that it was verified for, within the
 * validity of all that it was verified by, and as long as its bundle lives.
 * Whether the peer has the key, and who it is, is found out every time.
 */


#include "ngx_mesh_identity.h"


#define NGX_MESH_CHAINS_SETS  128
#define NGX_MESH_CHAINS_WAYS  4


/* what it is known by: SHA-256 of all that was sent, and by whom */

typedef struct {
    u_char                    digest[32];
    ngx_mesh_direction_e      direction;
} ngx_mesh_chain_key_t;


typedef struct {
    ngx_mesh_chain_key_t      key;
    time_t                    not_before;
    time_t                    not_after;     /* 0: nothing is here */
} ngx_mesh_chain_t;


struct ngx_mesh_chains_s {
    X509_STORE               *store;
    EVP_MD                   *md;
    EVP_MD_CTX               *hash;
    ngx_uint_t                next;          /* to be replaced in its set */
    ngx_mesh_chain_t          chain[NGX_MESH_CHAINS_SETS]
                                   [NGX_MESH_CHAINS_WAYS];
};


ngx_mesh_chains_t *
ngx_mesh_chains_create(X509_STORE *store)
{
    ngx_mesh_chains_t  *chains;

    chains = ngx_calloc(sizeof(ngx_mesh_chains_t), ngx_cycle->log);
    if (chains == NULL) {
        return NULL;
    }

    chains->store = store;
    chains->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    chains->hash = EVP_MD_CTX_new();

    if (chains->md == NULL || chains->hash == NULL) {
        ngx_mesh_chains_free(chains);
        return NULL;
    }

    return chains;
}


void
ngx_mesh_chains_free(ngx_mesh_chains_t *chains)
{
    EVP_MD_CTX_free(chains->hash);
    EVP_MD_free(chains->md);
    ngx_free(chains);
}


/* NGX_DECLINED: not to be known by anything */

static ngx_int_t
ngx_mesh_chain_key(ngx_mesh_chains_t *chains, STACK_OF(X509) *sent,
    ngx_mesh_direction_e direction, ngx_mesh_chain_key_t *key)
{
    int      i, n, len;
    u_char  *der;

    n = sk_X509_num(sent);

    if (n <= 0) {
        return NGX_DECLINED;
    }

    ngx_memzero(key, sizeof(ngx_mesh_chain_key_t));
    key->direction = direction;

    if (EVP_DigestInit_ex2(chains->hash, chains->md, NULL) != 1) {
        return NGX_DECLINED;
    }

    for (i = 0; i < n; i++) {
        der = NULL;
        len = i2d_X509(sk_X509_value(sent, i), &der);

        if (len <= 0) {
            return NGX_DECLINED;
        }

        /* DER says itself where it ends: two chains never look the same */

        (void) EVP_DigestUpdate(chains->hash, der, len);
        OPENSSL_free(der);
    }

    if (EVP_DigestFinal_ex(chains->hash, key->digest, NULL) != 1) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_mesh_chain_t *
ngx_mesh_chain_find(ngx_mesh_chain_t *set, ngx_mesh_chain_key_t *key)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_MESH_CHAINS_WAYS; i++) {
        if (set[i].not_after
            && ngx_memcmp(&set[i].key, key, sizeof(ngx_mesh_chain_key_t))
               == 0)
        {
            return &set[i];
        }
    }

    return NULL;
}


/* of all certificates together, as X509_verify_cert() sees it */

static ngx_int_t
ngx_mesh_chain_validity(STACK_OF(X509) *verified, ngx_mesh_chain_t *chain)
{
    int        i, n;
    X509      *cert;
    struct tm  from, until;

    n = sk_X509_num(verified);

    chain->not_before = 0;
    chain->not_after = NGX_MAX_TIME_T_VALUE;

    for (i = 0; i < n; i++) {
        cert = sk_X509_value(verified, i);

        if (ASN1_TIME_to_tm(X509_get0_notBefore(cert), &from) != 1
            || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until) != 1)
        {
            return NGX_DECLINED;
        }

        chain->not_before = ngx_max(chain->not_before, timegm(&from));
        chain->not_after = ngx_min(chain->not_after, timegm(&until));
    }

    return n > 0 ? NGX_OK : NGX_DECLINED;
}


static int
ngx_mesh_chains_verdict(int ok, X509_STORE_CTX *ctx)
{
    return ok;
}


/*
 * nginx gives every context a callback that overlooks all errors, to ask for
 * the result later; SSL_set_verify() without one would leave that in place.
 */

static int
ngx_mesh_chains_verify_now(X509_STORE_CTX *ctx)
{
    X509_STORE_CTX_set_verify_cb(ctx, ngx_mesh_chains_verdict);

    return X509_verify_cert(ctx) == 1
           && X509_STORE_CTX_get_error(ctx) == X509_V_OK;
}


/* 1: verified, now or before; 0: the error is in "ctx" */

int
ngx_mesh_chains_verify(ngx_mesh_chains_t *chains, X509_STORE_CTX *ctx,
    ngx_mesh_direction_e direction)
{
    time_t             now;
    ngx_mesh_chain_t  *known, *set, chain;

    /* a handshake may have begun under the bundle before */

    if (X509_STORE_CTX_get0_store(ctx) != chains->store
        || ngx_mesh_chain_key(chains, X509_STORE_CTX_get0_untrusted(ctx),
                              direction, &chain.key)
           != NGX_OK)
    {
        return ngx_mesh_chains_verify_now(ctx);
    }

    set = chains->chain[chain.key.digest[0] % NGX_MESH_CHAINS_SETS];
    known = ngx_mesh_chain_find(set, &chain.key);
    now = time(NULL);

    if (known && known->not_before <= now && now < known->not_after) {
        ngx_mesh.known_chains++;
        X509_STORE_CTX_set_error(ctx, X509_V_OK);
        return 1;
    }

    if (!ngx_mesh_chains_verify_now(ctx)) {
        return 0;
    }

    if (ngx_mesh_chain_validity(X509_STORE_CTX_get0_chain(ctx), &chain)
        == NGX_OK)
    {
        if (known == NULL) {
            known = &set[chains->next++ % NGX_MESH_CHAINS_WAYS];
        }

        *known = chain;
    }

    return 1;
}
