
/*
 * Addresses: text, sockets, and the original destination of a connection
 * that iptables redirected (contract 6.original-destination).
 */


#include "ngx_mesh.h"
#include <linux/netfilter_ipv4.h>


/* <linux/netfilter_ipv6/ip6_tables.h> clashes with <netinet/in.h> */

#define NGX_MESH_IP6T_SO_ORIGINAL_DST  80


static u_char  ngx_mesh_v4_prefix[12] =
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };


/* the port is left alone */

ngx_int_t
ngx_mesh_addr_parse(u_char *text, size_t len, ngx_mesh_addr_t *addr)
{
    char  buf[INET6_ADDRSTRLEN];

    if (len == 0 || len >= sizeof(buf)) {
        return NGX_ERROR;
    }

    ngx_memcpy(buf, text, len);
    buf[len] = '\0';

    if (ngx_strlchr(text, text + len, ':') != NULL) {
        return inet_pton(AF_INET6, buf, addr->ip) == 1 ? NGX_OK : NGX_ERROR;
    }

    ngx_memcpy(addr->ip, ngx_mesh_v4_prefix, 12);

    return inet_pton(AF_INET, buf, addr->ip + 12) == 1 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_mesh_addr_of(struct sockaddr *sa, ngx_mesh_addr_t *addr)
{
    struct sockaddr_in   *sin;
    struct sockaddr_in6  *sin6;

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        ngx_memcpy(addr->ip, ngx_mesh_v4_prefix, 12);
        ngx_memcpy(addr->ip + 12, &sin->sin_addr, 4);
        addr->port = ntohs(sin->sin_port);
        return NGX_OK;

    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        ngx_memcpy(addr->ip, &sin6->sin6_addr, 16);
        addr->port = ntohs(sin6->sin6_port);
        return NGX_OK;

    default:
        return NGX_DECLINED;
    }
}


/* NGX_DECLINED: nobody redirected this connection */

ngx_int_t
ngx_mesh_original_dst(ngx_connection_t *c, ngx_mesh_addr_t *addr)
{
    int             rc;
    socklen_t       len;
    ngx_sockaddr_t  sa;

    len = sizeof(ngx_sockaddr_t);

    switch (c->sockaddr->sa_family) {

    case AF_INET:
        rc = getsockopt(c->fd, SOL_IP, SO_ORIGINAL_DST, &sa, &len);
        break;

    case AF_INET6:
        rc = getsockopt(c->fd, IPPROTO_IPV6, NGX_MESH_IP6T_SO_ORIGINAL_DST,
                        &sa, &len);
        break;

    default:
        return NGX_DECLINED;
    }

    if (rc == -1) {
        return NGX_DECLINED;
    }

    return ngx_mesh_addr_of(&sa.sockaddr, addr);
}


static void
ngx_mesh_original_dst_cleanup(void *data)
{
    /* void */
}


/* the same for each request of a connection: asked of the kernel once */

ngx_int_t
ngx_mesh_original_dst_kept(ngx_connection_t *c, ngx_mesh_addr_t *addr)
{
    ngx_int_t            rc;
    ngx_pool_cleanup_t  *cln;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_mesh_original_dst_cleanup) {
            *addr = *(ngx_mesh_addr_t *) cln->data;
            return NGX_OK;
        }
    }

    rc = ngx_mesh_original_dst(c, addr);

    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_mesh_addr_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_mesh_original_dst_cleanup;
    *(ngx_mesh_addr_t *) cln->data = *addr;

    return NGX_OK;
}


socklen_t
ngx_mesh_addr_sockaddr(ngx_mesh_addr_t *addr, ngx_sockaddr_t *sa)
{
    ngx_memzero(sa, sizeof(ngx_sockaddr_t));

    if (ngx_memcmp(addr->ip, ngx_mesh_v4_prefix, 12) == 0) {
        sa->sockaddr_in.sin_family = AF_INET;
        sa->sockaddr_in.sin_port = htons(addr->port);
        ngx_memcpy(&sa->sockaddr_in.sin_addr, addr->ip + 12, 4);
        return sizeof(struct sockaddr_in);
    }

    sa->sockaddr_in6.sin6_family = AF_INET6;
    sa->sockaddr_in6.sin6_port = htons(addr->port);
    ngx_memcpy(&sa->sockaddr_in6.sin6_addr, addr->ip, 16);

    return sizeof(struct sockaddr_in6);
}


u_char *
ngx_mesh_addr_ip_text(u_char *buf, u_char *last, ngx_mesh_addr_t *addr)
{
    char            text[INET6_ADDRSTRLEN];
    const char     *rc;

    if (ngx_memcmp(addr->ip, ngx_mesh_v4_prefix, 12) == 0) {
        rc = inet_ntop(AF_INET, addr->ip + 12, text, sizeof(text));

    } else {
        rc = inet_ntop(AF_INET6, addr->ip, text, sizeof(text));
    }

    return rc ? ngx_slprintf(buf, last, "%s", text) : buf;
}


u_char *
ngx_mesh_addr_text(u_char *buf, u_char *last, ngx_mesh_addr_t *addr)
{
    if (ngx_memcmp(addr->ip, ngx_mesh_v4_prefix, 12) == 0) {
        buf = ngx_mesh_addr_ip_text(buf, last, addr);

    } else {
        buf = ngx_slprintf(buf, last, "[");
        buf = ngx_mesh_addr_ip_text(buf, last, addr);
        buf = ngx_slprintf(buf, last, "]");
    }

    return ngx_slprintf(buf, last, ":%ui", (ngx_uint_t) addr->port);
}


ngx_uint_t
ngx_mesh_addr_is_sidecar(ngx_mesh_addr_t *addr)
{
    return addr->port >= NGX_MESH_PORT_FIRST
           && addr->port <= NGX_MESH_PORT_LAST;
}


/* a pod that calls its own address has it as source address, too */

ngx_uint_t
ngx_mesh_addr_same_host(ngx_mesh_addr_t *a, struct sockaddr *sa)
{
    ngx_mesh_addr_t  b;

    if (ngx_mesh_addr_of(sa, &b) != NGX_OK) {
        return 0;
    }

    return ngx_memcmp(a->ip, b.ip, 16) == 0;
}
