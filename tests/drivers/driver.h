
#ifndef _DRIVER_H_INCLUDED_
#define _DRIVER_H_INCLUDED_


#include "core.h"
#include "ngx_mesh_peer.h"
#include "ngx_mesh_split.h"
#include "ngx_mesh_table.h"


/* nothing else of the library is seen from outside, or linked without need */

#pragma GCC visibility push(default)


#endif /* _DRIVER_H_INCLUDED_ */
