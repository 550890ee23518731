
/*
 * Records of our own on a socket: what a connection becomes once OpenSSL has
 * made its handshake, under relayed TCP and under HTTP.
 */


#ifndef _NGX_MESH_CHANNEL_H_INCLUDED_
#define _NGX_MESH_CHANNEL_H_INCLUDED_


#include "ngx_mesh.h"
#include "ngx_mesh_record.h"
#include <ngx_event.h>


/* what is read at once; a buffer has room for records of as much, too */
#define NGX_MESH_BUFFER       (8 * NGX_MESH_RECORD_PLAIN)
#define NGX_MESH_BUFFER_SIZE  (NGX_MESH_BUFFER + 1024)


typedef struct {
    u_char                   *start;         /* NULL: nothing is kept */
    u_char                   *pos;
    u_char                   *last;
} ngx_mesh_kept_t;


typedef struct {
    ngx_mesh_records_t        records;
    ngx_mesh_kept_t           tail;          /* records not yet opened */
    ngx_mesh_kept_t           rest;          /* opened, not yet taken */
    ngx_mesh_kept_t           out;           /* sealed, not yet written */
    size_t                    promised;      /* of "out", not yet told */
    unsigned                  closed:1;      /* the peer's bytes are over */
    unsigned                  ended:1;       /* close_notify is sealed */
    unsigned                  broken:1;
    unsigned                  copied:1;      /* "out" is no shared buffer */

    /* what the user wants */

    unsigned                  bare_end:1;    /* no close_notify is an end */
    unsigned                  last_ends:1;   /* last_buf is close_notify */
    unsigned                  frugal:1;      /* to wait with little memory */
} ngx_mesh_channel_t;


/* ngx_mesh_buffers.c */

u_char *ngx_mesh_buffer_take(ngx_log_t *log);
void ngx_mesh_buffer_give(u_char *buffer);

/* ngx_mesh_channel.c */

ngx_int_t ngx_mesh_channel_take(ngx_mesh_channel_t *ch, ngx_connection_t *c);
void ngx_mesh_channel_free(ngx_mesh_channel_t *ch);
ssize_t ngx_mesh_channel_recv(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    u_char *buf, size_t size);

/* ngx_mesh_channel_send.c */

ngx_chain_t *ngx_mesh_channel_send_chain(ngx_mesh_channel_t *ch,
    ngx_connection_t *c, ngx_chain_t *in);
ssize_t ngx_mesh_channel_send(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    u_char *data, size_t size);
void ngx_mesh_channel_tell(ngx_mesh_channel_t *ch, ngx_connection_t *c,
    ngx_mesh_alert_e alert);
void ngx_mesh_channel_out_free(ngx_mesh_channel_t *ch);


#endif /* _NGX_MESH_CHANNEL_H_INCLUDED_ */
