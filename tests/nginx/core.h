
#ifndef _CORE_H_INCLUDED_
#define _CORE_H_INCLUDED_


#include "ngx_mesh.h"


void core_init(void);


#endif /* _CORE_H_INCLUDED_ */
