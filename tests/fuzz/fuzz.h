
#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include "core.h"


/* what must hold whatever the input is */

#define fuzz_must(condition)                                                  \
    if (!(condition)) {                                                       \
        fprintf(stderr, "%s:%d: must: %s\n", __FILE__, __LINE__, #condition); \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const u_char *data, size_t size);


#endif /* _FUZZ_H_INCLUDED_ */
