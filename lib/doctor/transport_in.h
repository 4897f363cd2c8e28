/* lib/doctor/transport_in.h -- the two TXT records about TLS: MTA-STS (RFC 8461 3.1) and TLS-RPT
 * (RFC 8460 3). */
#ifndef LIB_DOCTOR_TRANSPORT_IN_H
#define LIB_DOCTOR_TRANSPORT_IN_H

#include "base/base.h"

/* "v=STSv1; id=20261124T1;": -1 with a sentence when it breaks its grammar. */
MUST_USE int sts_record_read(struct slice text, struct slice *id_out, struct err *e);
/* "v=TLSRPTv1; rua=mailto:a@example.com,https://b.example/": `rua_out` as written. */
MUST_USE int tlsrpt_record_read(struct slice text, struct slice *rua_out, struct err *e);

#endif
