/* app/dnstext.h -- records to publish, as lines of a master file. */
#ifndef APP_DNSTEXT_H
#define APP_DNSTEXT_H

#include "base/base.h"

/* `NAME. 3600 IN TXT "..." "..."`, cut into strings of at most 255 bytes, quoted as needed. */
void dnstext_txt(struct slice name, struct slice text, struct buf *out);

#endif
