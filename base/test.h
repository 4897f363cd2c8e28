/* base/test.h -- the one way to reach cmocka, which needs these three headers before it. */
#ifndef BASE_TEST_H
#define BASE_TEST_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include "base/base.h"

/* Runs `run` once for each element of `table`, whose first member is `const char *name`. */
#define RUN_TABLE(table, run)                                                                      \
    do {                                                                                           \
        struct CMUnitTest tests_[COUNT(table)];                                                    \
        for (size_t i_ = 0; i_ < COUNT(table); i_++)                                               \
            tests_[i_] = (struct CMUnitTest){*(const char *const *)&(table)[i_], run, NULL, NULL,  \
                                             (void *)(uintptr_t) & (table)[i_]};                   \
        return cmocka_run_group_tests(tests_, NULL, NULL);                                         \
    } while (0)

#endif
