/* rt/stream/proxy.h -- reads the header of the PROXY protocol, versions 1 and 2 (HAProxy's
 * proxy-protocol.txt, sections 2.1 and 2.2). No I/O. */
#ifndef STREAM_PROXY_H
#define STREAM_PROXY_H

#include "base/base.h"
#include "base/ip.h"

#define PROXY_HEADER_MAX 4096u /* v1 has 107 at most; v2 with TLVs is refused above this */

enum proxy_verdict { PROXY_MORE, PROXY_GOOD, PROXY_BAD };
struct proxy_header {
    bool has_addresses; /* false for LOCAL, UNKNOWN and unix: keep the socket's own */
    struct ip_address source, destination;
    uint16_t source_port, destination_port;
};
/* PROXY_GOOD fills `*header_out` and says in `*used_out` how long the header was. PROXY_MORE: the
 * bytes so far are a good beginning. The verdict does not depend on how the bytes were cut. */
enum proxy_verdict proxy_parse(struct slice in, struct proxy_header *header_out, size_t *used_out);

#endif
