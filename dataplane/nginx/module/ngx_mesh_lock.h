
/*
 * A lock in memory that processes share, and the name of its owner.
 */


#ifndef _NGX_MESH_LOCK_H_INCLUDED_
#define _NGX_MESH_LOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * NGX_OK: it is ours; NGX_DECLINED: it is, after one who died with it, and
 * who may have left half a change behind; NGX_BUSY: it is another's, who
 * lives and does not give it away: go on without
 */

ngx_int_t ngx_mesh_lock(ngx_atomic_t *lock);
void ngx_mesh_unlock(ngx_atomic_t *lock);

/* this process, and whether one of that name is still there */

ngx_atomic_uint_t ngx_mesh_owner(void);
ngx_uint_t ngx_mesh_owner_lives(ngx_atomic_uint_t owner);


#endif /* _NGX_MESH_LOCK_H_INCLUDED_ */
