
#ifndef _NGX_STREAM_MESH_HELLO_H_INCLUDED_
#define _NGX_STREAM_MESH_HELLO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* a ClientHello of a sidecar is far smaller than this, record header included */
#define NGX_STREAM_MESH_HELLO_MAX  4096


typedef enum {
    NGX_STREAM_MESH_HELLO_MORE = 0,          /* cannot tell yet */
    NGX_STREAM_MESH_HELLO_NONE,              /* not TLS */
    NGX_STREAM_MESH_HELLO_TLS,
    NGX_STREAM_MESH_HELLO_MESH               /* TLS with ALPN nsm/1 */
} ngx_stream_mesh_hello_e;


/* is it TLS at all: one byte tells */
ngx_stream_mesh_hello_e ngx_stream_mesh_is_tls(u_char *p, u_char *last);

/* whose TLS is it: the whole ClientHello tells */
ngx_stream_mesh_hello_e ngx_stream_mesh_hello(u_char *p, u_char *last);


#endif /* _NGX_STREAM_MESH_HELLO_H_INCLUDED_ */
