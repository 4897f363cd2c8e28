/* lib/dnsmsg/zone_write.h -- records to publish, as lines of a master file. */
#ifndef LIB_DNSMSG_ZONE_WRITE_H
#define LIB_DNSMSG_ZONE_WRITE_H

#include "base/base.h"

/* `NAME. 3600 IN TXT "..." "..."`, cut into strings of at most 255 bytes, quoted as needed. */
void dns_zone_write_txt(struct slice name, struct slice text, struct buf *out);

#endif
