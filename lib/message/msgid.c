#include "lib/message/msgid.h"

#include "base/ascii.h"
#include "lib/addr/domain.h"

#define LINE_LIMIT 998 /* RFC 5322 2.1.1 */
#define LONG_BYTES 250 /* longer ones get folded, and some programs then change them */

struct slice msgid_find(struct slice value)
{
    struct slice s = slice_trim(value);
    size_t open = slice_find(s, '<');
    size_t close = open == SLICE_NONE ? SLICE_NONE : slice_find(slice_from(s, open), '>');

    if (close == SLICE_NONE)
        return s;
    return slice_sub(s, open, close + 1);
}

static struct msgid_check bad(const char *reason)
{
    return (struct msgid_check){MSGID_BAD, reason};
}

static struct msgid_check odd(const char *reason)
{
    return (struct msgid_check){MSGID_ODD, reason};
}

/* RFC 5322 3.2.3 dot-atom-text */
static bool is_dot_atom(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool dot = c == '.' && i > 0 && i + 1 < s.n && s.p[i - 1] != '.';
        if (!dot && !ascii_is_alnum(c) && (c == '\0' || strchr("!#$%&'*+-/=?^_`{|}~", c) == NULL))
            return false;
    }
    return s.n > 0;
}

static struct msgid_check check_right(struct slice right)
{
    struct ip_address ip;

    if (right.n == 0)
        return bad("Nothing stands after the @; a domain of yours belongs there.");
    if (right.p[0] == '[')
        return right.p[right.n - 1] == ']' ? odd("The right side is an address literal; a domain "
                                                 "of yours keeps the id unique.")
                                           : bad("The right side begins with [ and has no ].");
    if (!is_dot_atom(right))
        return bad("The right side holds a character that cannot stand in a domain.");
    if (slice_eq_nocase(right, SLICE("localhost")) ||
        slice_ends_nocase(right, SLICE(".localdomain")) ||
        slice_ends_nocase(right, SLICE(".local")) || slice_ends_nocase(right, SLICE(".lan")) ||
        slice_ends_nocase(right, SLICE(".internal")))
        return odd("The right side is a local name that other machines have too; use a domain of "
                   "yours, or the id may collide and spam filters will mark it.");
    if (ip_address_parse(right, &ip))
        return odd("The right side is an address without brackets; use a domain of yours.");
    if (slice_find(right, '.') == SLICE_NONE)
        return odd("The right side is a bare host name; use a full domain of yours, so that the id "
                   "is unique in the world.");
    if (!domain_is_name(right, false))
        return odd("The right side is no host name, though the grammar allows it.");
    return (struct msgid_check){MSGID_GOOD, NULL};
}

/* The longest line of a folded value. */
static size_t longest_line(struct slice value)
{
    size_t longest = 0;

    while (value.n > 0) {
        struct slice line = slice_line(&value);
        longest = line.n > longest ? line.n : longest;
    }
    return longest;
}

struct msgid_check msgid_check(struct slice value)
{
    struct slice s = slice_trim(value);

    if (s.n == 0)
        return bad("It is empty.");
    if (longest_line(value) > LINE_LIMIT)
        return bad("It is longer than a line may be (998 octets).");
    if (s.p[0] != '<' || s.p[s.n - 1] != '>')
        return bad(
            slice_find(s, '<') == SLICE_NONE
                ? "It has no angle brackets: it must be <something@domain>."
                : "Something stands outside the angle brackets; only one <id> may be there.");
    struct slice inner = slice_sub(s, 1, s.n - 2);
    for (size_t i = 0; i < inner.n; i++) {
        char c = inner.p[i];
        if (ascii_is_space(c))
            return bad("It holds white space, or is folded inside the brackets.");
        if (ascii_is_control(c))
            return bad("It holds a control character.");
        if ((unsigned char)c >= 0x80)
            return bad("It holds a character that is not ASCII.");
        if (c == '<' || c == '>')
            return bad("It holds a second angle bracket; only one <id> may be there.");
    }
    size_t at = slice_find_last(inner, '@');
    if (at == SLICE_NONE)
        return bad("It has no @: it must be <something@domain>.");
    if (at == 0)
        return bad("Nothing stands before the @.");
    struct slice left = slice_sub(inner, 0, at);
    if (left.p[0] == '"')
        return odd("The left side is quoted: an obsolete form that some programs misread.");
    if (slice_find(left, '@') != SLICE_NONE)
        return bad("It has two @.");
    if (!is_dot_atom(left))
        return bad("The left side holds a character or a dot that cannot stand there.");
    struct msgid_check right = check_right(slice_from(inner, at + 1));
    if (right.verdict == MSGID_GOOD && s.n > LONG_BYTES)
        return odd("It is very long; some programs cut or change such ids.");
    return right;
}

void msgid_make(struct slice unique, struct slice domain, struct buf *out)
{
    /* Crockford's letters: no I, L, O, U to misread. Five bits each. */
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint32_t bits = 0;
    unsigned held = 0;

    buf_append_char(out, '<');
    for (size_t i = 0; i < unique.n; i++) {
        bits = bits << 8 | (unsigned char)unique.p[i];
        for (held += 8; held >= 5; held -= 5)
            buf_append_char(out, letters[bits >> (held - 5) & 31]);
    }
    if (held > 0)
        buf_append_char(out, letters[bits << (5 - held) & 31]);
    buf_append_char(out, '@');
    for (size_t i = 0; i < domain.n; i++)
        buf_append_char(out, ascii_lower(domain.p[i]));
    buf_append_char(out, '>');
}
