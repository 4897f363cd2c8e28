/* base/poison.h -- functions that no file of ours may call (STYLE rule 25). The libc headers that
 * declare them are included first, so that only uses are refused, not declarations. */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ctype.h makes some of its names macros, and inlining headers may use them: take those away. */
#undef isalpha
#undef isdigit
#undef isalnum
#undef isspace
#undef isupper
#undef islower
#undef toupper
#undef tolower
#undef alloca
#undef sprintf /* clang: a macro of _FORTIFY_SOURCE */
#undef vsprintf
// clang-format off
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok atoi atol alloca
#pragma GCC poison strcasecmp strncasecmp
#pragma GCC poison isalpha isdigit isalnum isspace isupper islower toupper tolower
// clang-format on

#endif
