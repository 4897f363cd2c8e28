/* lib/dnsmsg/name.h -- domain names as text.
 *
 * A name is a slice of labels joined by dots, without the root's dot and without escapes: every
 * byte but '.' stands for itself. Case never matters. (A label that holds a dot cannot be written
 * so; the readers of this room refuse one.) */
#ifndef LIB_DNSMSG_NAME_H
#define LIB_DNSMSG_NAME_H

#include "base/base.h"

#define DNS_NAME_MAX 253 /* octets of a name as text (RFC 1035 2.3.4: 255 on the wire) */
#define DNS_LABEL_MAX 63
#define DNS_LABELS_MAX 127

/* One root dot at the end is taken off. */
struct slice dns_name_trim(struct slice name);

/* Fits DNS: 1 to 253 octets, labels of 1 to 63. One dot at the end is allowed. */
bool dns_name_is_valid(struct slice name);

/* Valid, and only letters, digits, '-' and '_' with no '-' at a label's ends, at least two labels:
 * a name that a mail domain or a host can have ("_dmarc.example.com" too). */
bool dns_name_is_host(struct slice name);

bool dns_name_equal(struct slice a, struct slice b); /* ASCII case and a root dot ignored */
/* `name` is `parent` or lies below it. Everything lies below the empty name. */
bool dns_name_is_within(struct slice name, struct slice parent);

size_t dns_name_labels(struct slice name); /* 0 for the empty name */
/* The name without its first label; empty after the last one. */
struct slice dns_name_parent(struct slice name);
/* The last `count` labels; the whole name when it has no more. */
struct slice dns_name_tail(struct slice name, size_t count);

/* Writes the name in master-file form (RFC 1035 5.1): bytes other than letters, digits, '-' and
 * '_' as \DDD; no root dot. This is what a resolver library wants. */
void dns_name_escape(struct slice name, struct buf *out);

/* Reads master-file form: \DDD and \X escapes, one root dot allowed. Appends lower-case text.
 * False when a label is empty or too long, an escape is broken, or an escaped byte is a dot. */
MUST_USE bool dns_name_unescape(struct slice escaped, struct buf *out);

#endif
