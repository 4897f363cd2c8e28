/* app/bench.h -- what `waybill bench` can measure; one function a subject. */
#ifndef APP_BENCH_H
#define APP_BENCH_H

#include "base/base.h"

/* Prints its figures, as JSON if asked; returns the exit status. */
int bench_bounce(bool json);
int bench_classify(bool json);
int bench_dkim(bool json);
int bench_spf(bool json);

#endif
