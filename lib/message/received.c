#include "lib/message/received.h"

#include "base/ascii.h"
#include "lib/addr/domain.h"

#define TOKENS_MAX 256

enum token_kind { WORD, COMMENT, SEMICOLON };
struct token {
    enum token_kind kind;
    struct slice text; /* a comment without its brackets */
};
enum clause { NOWHERE, FROM, BY, VIA, WITH, ID, FOR };

struct reading {
    struct received *r;
    struct token tokens[TOKENS_MAX];
    size_t count;
    struct slice date_part; /* behind the last semicolon */
    struct slice first;     /* the word after "from" */
    bool first_is_rdns;     /* a comment named the HELO, so the word is the reverse name */
    bool bare_ip;           /* "(1.2.3.4)": qmail's way */
    bool is_verified;       /* CommuniGate: the name was checked */
    bool is_exim;
    bool helo_seen;
};

/* --- words --- */

static bool word_is(struct slice s, const char *word)
{
    return slice_eq_nocase(s, slice_of(word));
}

static bool word_starts(struct slice s, const char *start)
{
    return slice_starts_nocase(s, slice_of(start));
}

/* Cuts the next word of a comment off *rest; spaces and commas stand between. */
static struct slice next_word(struct slice *rest)
{
    size_t i = 0, n;

    while (i < rest->n && (rest->p[i] == ' ' || rest->p[i] == ','))
        i++;
    *rest = slice_from(*rest, i);
    for (n = 0; n < rest->n && rest->p[n] != ' ' && rest->p[n] != ','; n++)
        ;
    struct slice word = slice_sub(*rest, 0, n);
    *rest = slice_from(*rest, n);
    return word;
}

static struct slice strip(struct slice s, char open, char close)
{
    if (s.n > 0 && s.p[0] == open)
        s = slice_from(s, 1);
    if (s.n > 0 && s.p[s.n - 1] == close)
        s.n--;
    return s;
}

static struct slice without_dot(struct slice s)
{
    return s.n > 1 && s.p[s.n - 1] == '.' ? slice_sub(s, 0, s.n - 1) : s;
}

/* An address in any of its clothes: [1.2.3.4], 1.2.3.4:25, [IPv6:...]:25, user@[1.2.3.4]. */
static bool take_ip(struct slice word, struct ip_address *ip_out)
{
    size_t at = slice_find_last(word, '@'), close;

    if (at != SLICE_NONE)
        word = slice_from(word, at + 1);
    size_t open = slice_find(word, '[');
    if (open != SLICE_NONE) {
        word = slice_from(word, open + 1);
        close = slice_find(word, ']');
        word = slice_sub(word, 0, close);
    }
    word = strip(word, '<', '>');
    if (word.n > 0 && (word.p[word.n - 1] == ']' || word.p[word.n - 1] == ';'))
        word.n--;
    if (word_starts(word, "IPv6:"))
        word = slice_from(word, 5);
    if (!ip_address_parse(word, ip_out)) { /* a port may follow: 1.2.3.4:25, 1.2.3.4.25 */
        size_t colon = slice_find(word, ':'), last = slice_find_last(word, ':');
        size_t cut = colon == SLICE_NONE ? slice_find_last(word, '.') : colon;
        if (cut == SLICE_NONE || colon != last ||
            !ip_address_parse(slice_sub(word, 0, cut), ip_out)) {
            *ip_out = (struct ip_address){.family = IP_NONE};
            return false;
        }
    }
    *ip_out = ip_address_unmap(*ip_out);
    return true;
}

/* Words that receivers write where a name belongs, and that are none. */
static bool is_no_name(struct slice s)
{
    static const char *const words[] = {"unknown", "softdnserr", "unverified", "untrusted",
                                        "noname",  "helo",       "not",        "may",
                                        "no",      "port",       "[unix",      "none"};

    for (size_t i = 0; i < COUNT(words); i++)
        if (word_is(s, words[i]))
            return true;
    return s.n == 0;
}

/* --- cutting the field into words and comments --- */

/* The offset behind the bracket that closes the one at the start of `s`; 0 if none does. */
static size_t closing(struct slice s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        else if (s.p[i] == '(')
            depth++;
        else if (s.p[i] == ')' && --depth == 0)
            return i + 1;
    }
    return 0;
}

static size_t word_length(struct slice s)
{
    size_t n = 0;

    if (s.p[0] == '"' || s.p[0] == '<' || s.p[0] == '[') { /* may hold spaces */
        char close = s.p[0] == '"' ? '"' : s.p[0] == '<' ? '>' : ']';
        size_t end = slice_find(slice_from(s, 1), close);
        if (end != SLICE_NONE && slice_find(slice_sub(s, 1, end), '(') == SLICE_NONE &&
            slice_find(slice_sub(s, 1, end), ';') == SLICE_NONE)
            n = end + 2;
    }
    while (n < s.n && s.p[n] != ' ' && s.p[n] != '(' && s.p[n] != ';')
        n++;
    return n;
}

static void cut_tokens(struct reading *g, struct slice s)
{
    unsigned open_ended = 0; /* brackets that nothing closed: each costs a search to the end */

    while (s.n > 0 && g->count < TOKENS_MAX) {
        size_t n = 1;
        if (s.p[0] == '(' && open_ended < 8 && (n = closing(s)) == 0) {
            open_ended++;
        } else if (s.p[0] == '(' && n > 1) {
            g->tokens[g->count++] = (struct token){COMMENT, slice_trim(slice_sub(s, 1, n - 2))};
        } else if (s.p[0] == ';') {
            g->tokens[g->count++] = (struct token){SEMICOLON, slice_sub(s, 0, 1)};
            g->date_part = slice_from(s, 1);
        } else if (s.p[0] != ' ' && s.p[0] != '(' && s.p[0] != ')') {
            n = word_length(s);
            struct slice word = slice_sub(s, 0, n);
            while (word.n > 1 && word.p[word.n - 1] == ',')
                word.n--;
            g->tokens[g->count++] = (struct token){WORD, word};
        }
        s = slice_from(s, n > 0 ? n : 1);
    }
}

/* --- TLS --- */

/* "TLSv1.3", "TLS1_2", "TLS-1.0", "TLSv1/SSLv3", "SSLv3" at the start of `s`; its length or 0. */
static size_t tls_version_length(struct slice s)
{
    size_t n = 3;

    if (!word_starts(s, "TLS") && !word_starts(s, "SSL"))
        return 0;
    if (n < s.n && (s.p[n] == 'v' || s.p[n] == 'V' || s.p[n] == '-' || s.p[n] == '_'))
        n++;
    size_t digits = n;
    while (n < s.n && (ascii_is_digit(s.p[n]) ||
                       (n > digits && n + 1 < s.n && (s.p[n] == '.' || s.p[n] == '_') &&
                        ascii_is_digit(s.p[n + 1]))))
        n++;
    /* Ciphers begin alike ("TLS13_AES_..."): a letter behind means that this is one. */
    return n > digits && n - digits <= 3 && (n == s.n || (s.p[n] != '_' && !ascii_is_alnum(s.p[n])))
               ? n
               : 0;
}

static void set_tls_version(struct received *r, struct slice s, struct arena *a)
{
    size_t i = 3;
    struct buf out;

    if (r->tls_version.n > 0)
        return;
    while (i < s.n && !ascii_is_digit(s.p[i]))
        i++;
    buf_init(&out, 32);
    buf_printf(&out, "%sv", word_starts(s, "SSL") ? "SSL" : "TLS");
    for (; i < s.n; i++)
        buf_append_char(&out, s.p[i] == '_' ? '.' : s.p[i]);
    r->tls_version = arena_copy(a, buf_slice(&out));
    buf_finish(&out);
}

static bool is_cipher(struct slice s)
{
    size_t marks = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
        marks += s.p[i] == '-' || s.p[i] == '_';
    }
    return s.n >= 6 && marks > 0;
}

static void set_tls_cipher(struct received *r, struct slice s)
{
    s = strip(s, '(', ')');
    if (r->tls_cipher.n == 0 && is_cipher(s))
        r->tls_cipher = s;
}

/* Looks for version and cipher in a comment (or in "ESMTP/TLS/..."): the words say what they are.
 */
static void take_tls(struct received *r, struct slice text, struct arena *a)
{
    struct slice word, before = {NULL, 0};
    bool any = slice_search_nocase(text, SLICE("TLS")) != SLICE_NONE ||
               slice_search_nocase(text, SLICE("SSL")) != SLICE_NONE ||
               slice_search_nocase(text, SLICE("cipher")) != SLICE_NONE ||
               slice_search_nocase(text, SLICE("encrypted")) != SLICE_NONE;

    for (struct slice rest = text; any && (word = next_word(&rest)).n > 0; before = word) {
        if (word_starts(word, "version="))
            word = slice_from(word, 8);
        size_t n = tls_version_length(word);
        if (n > 0) {
            set_tls_version(r, slice_sub(word, 0, n), a);
            struct slice tail = slice_from(word, n + 1); /* Exim: version:cipher:bits */
            if (n < word.n && word.p[n] == ':')
                set_tls_cipher(r, slice_cut(&tail, ':'));
            continue;
        }
        if (word_starts(word, "cipher="))
            set_tls_cipher(r, slice_from(word, 7));
        else if (word_is(before, "cipher") || word_is(before, "tls") ||
                 word_is(before, "tls_cipher"))
            set_tls_cipher(r, word);
        else if (word_is(word, "encrypted") && before.n > 0)
            set_tls_cipher(r, before);
    }
    if (r->tls_version.n == 0 && (r->tls_cipher.n > 0 || word_is(text, "TLS")))
        r->tls_version = SLICE("TLS");
}

/* ESMTPS, ESMTPSA, LMTPS, UTF8SMTPS...: RFC 3848, RFC 6531 4.3 */
static void take_protocol(struct received *r, struct arena *a)
{
    struct slice rest = r->with, word = slice_cut(&rest, ' ');
    struct slice tail = word, head = slice_cut(&tail, '/');
    size_t mtp = slice_search_nocase(head, SLICE("MTP"));

    if (tail.n > 0 && word_starts(tail, "TLS")) { /* ESMTP/TLS/CIPHER */
        (void)slice_cut(&tail, '/');
        set_tls_cipher(r, tail);
        if (r->tls_version.n == 0)
            r->tls_version = SLICE("TLS");
    }
    if (r->tls_version.n == 0 &&
        (word_is(r->via, "SSL") || slice_ends_nocase(head, SLICE("-TLS")) ||
         slice_search_nocase(r->value, SLICE(" over TLS ")) != SLICE_NONE))
        r->tls_version = SLICE("TLS");
    take_tls(r, rest, a);
    struct slice letters = mtp != SLICE_NONE ? slice_from(head, mtp + 3) : (struct slice){NULL, 0};
    if (letters.n == 0 || letters.n > 2)
        r->is_authenticated = r->is_authenticated || word_is(head, "asmtp");
    if (letters.n > 2)
        return;
    for (size_t i = 0; i < letters.n; i++) {
        if (ascii_upper(letters.p[i]) == 'S' && r->tls_version.n == 0)
            r->tls_version = SLICE("TLS");
        if (ascii_upper(letters.p[i]) == 'A')
            r->is_authenticated = true;
    }
}

/* --- comments --- */

/* The words behind the greeting's name: "HELO x", "EHLO x". True if the comment is one. */
static bool take_helo(struct reading *g, struct slice comment)
{
    struct slice rest = strip(comment, '"', '"'), verb = next_word(&rest);

    if (!word_is(verb, "HELO") && !word_is(verb, "EHLO") && !word_is(verb, "LHLO"))
        return false;
    g->r->helo = without_dot(strip(next_word(&rest), '"', '"'));
    g->helo_seen = g->first_is_rdns = true;
    return true;
}

/* "user@name", "IDENT:user@name": the ident goes aside, the name is returned. */
static struct slice take_ident(struct received *r, struct slice word)
{
    if (word_starts(word, "IDENT:"))
        word = slice_from(word, 6);
    size_t at = slice_find_last(word, '@');
    if (at == SLICE_NONE)
        return word;
    r->ident = slice_sub(word, 0, at);
    return slice_from(word, at + 1);
}

/* key=value in a comment behind "from": Exim's way. */
static bool take_pair(struct reading *g, struct slice word)
{
    if (word_starts(word, "helo=")) {
        g->r->helo = without_dot(slice_from(word, 5));
        g->helo_seen = g->first_is_rdns = true;
        return true;
    }
    if (word_starts(word, "ident=")) {
        g->r->ident = strip(slice_from(word, 6), '[', ']');
        return true;
    }
    return false;
}

/* A comment of the from clause: reverse name, address, HELO, ident in any order. */
static void take_from_comment(struct reading *g, struct slice comment)
{
    struct received *r = g->r;
    struct slice rest = comment, word, name = {NULL, 0};
    bool only_ip = true, had_ip = r->ip.family != IP_NONE;
    struct ip_address ip;

    if (take_helo(g, comment))
        return;
    for (unsigned i = 0; i < 12 && (word = next_word(&rest)).n > 0; i++) {
        size_t bracket = slice_find(word, '[');
        if (take_pair(g, word))
            continue;
        if (i > 0 && (word_is(word, "HELO") || word_is(word, "EHLO"))) {
            r->helo = without_dot(next_word(&rest));
            g->helo_seen = g->first_is_rdns = true;
            continue;
        }
        if (word.p[0] == '"' && slice_find(word, ' ') == SLICE_NONE) { /* "EHLO x" in quotes */
            struct slice quoted = {word.p, word.n + rest.n};
            if (take_helo(g, quoted))
                break;
        }
        if (word_is(word, "verified"))
            g->is_verified = true;
        if (take_ip(word, &ip)) {
            if (r->ip.family == IP_NONE)
                r->ip = ip;
            if (bracket != SLICE_NONE && bracket > 0) { /* unknown[1.2.3.4], user@[1.2.3.4] */
                struct slice head = slice_sub(word, 0, bracket);
                if (head.p[head.n - 1] == '@')
                    r->ident = slice_sub(head, 0, head.n - 1);
                else if (name.n == 0)
                    name = head;
            } else if (bracket == SLICE_NONE) {
                (void)take_ident(r, word);
                g->bare_ip = g->bare_ip || only_ip;
            }
            continue;
        }
        only_ip = false;
        if (i == 0)
            name = word;
    }
    bool has_ip = r->ip.family != IP_NONE && !had_ip;
    if (name.n == 0 || !has_ip || g->helo_seen)
        return;
    name = without_dot(take_ident(r, name));
    if (!is_no_name(name) && r->rdns.n == 0 && slice_find(name, '=') == SLICE_NONE)
        r->rdns = name;
}

/* "(from user@host)", "(from host [1.2.3.4])" instead of a from clause. */
static void take_submitter(struct reading *g, struct slice rest)
{
    g->first = next_word(&rest);
    take_from_comment(g, rest);
}

/* Facts that may stand in a comment anywhere. */
static void take_any_comment(struct reading *g, struct slice comment, struct arena *a)
{
    struct received *r = g->r;
    struct slice rest = comment, word = next_word(&rest);

    if (word_is(word, "envelope-from") || word_is(word, "envelope-sender"))
        r->envelope_from = strip(next_word(&rest), '<', '>');
    else if (word_is(word, "ORCPT") && r->for_address.n == 0) {
        struct slice address = strip(next_word(&rest), '<', '>'), type = address;
        size_t semicolon = slice_find(type, ';');
        r->for_address = semicolon == SLICE_NONE ? address : slice_from(address, semicolon + 1);
        if (slice_find(r->for_address, '@') == SLICE_NONE)
            r->for_address = (struct slice){NULL, 0};
    }
    if (word_starts(word, "Exim"))
        g->is_exim = true;
    if (slice_search_nocase(comment, SLICE("authenticated")) != SLICE_NONE ||
        word_starts(comment, "AUTH:"))
        r->is_authenticated =
            r->is_authenticated || slice_search_nocase(comment, SLICE("not ")) == SLICE_NONE;
    take_tls(r, comment, a);
}

/* Behind "by": a better name with an address, or the software. */
static void take_by_comment(struct received *r, struct slice comment)
{
    struct slice rest = comment, name = next_word(&rest), second = next_word(&rest);
    struct ip_address ip;

    if (take_ip(second, &ip) && second.n > 0 && second.p[0] == '[' && domain_is_name(name, true))
        r->by_name = name;
    else if (!take_ip(name, &ip) && r->software.n == 0)
        r->software = comment;
}

/* --- clauses --- */

static enum clause keyword(struct slice word)
{
    static const struct {
        const char *word;
        enum clause clause;
    } words[] = {{"from", FROM}, {"by", BY}, {"via", VIA},
                 {"with", WITH}, {"id", ID}, {"for", FOR}};

    for (size_t i = 0; i < COUNT(words); i++)
        if (word_is(word, words[i].word))
            return words[i].clause;
    return NOWHERE;
}

/* A further word of the from clause: "[1.2.3.4]" behind the name. */
static void take_from_word(struct reading *g, struct slice word)
{
    struct received *r = g->r;
    struct ip_address ip;

    if (g->first.n == 0)
        g->first = word;
    else if (word.p[0] == '"' && g->first_is_rdns && r->helo.n == 0) /* claiming to be "x" */
        r->helo = strip(word, '"', '"');
    else if (word_is(word, "claiming"))
        g->first_is_rdns = g->helo_seen = true;
    else if (take_ip(word, &ip) && r->ip.family == IP_NONE)
        r->ip = ip;
}

/* Extends a value over the words that follow it: they lie in the same text. */
static void extend(struct slice *value, struct slice word)
{
    if (value->n == 0)
        *value = word;
    else
        value->n = (size_t)(word.p + word.n - value->p);
}

struct place {
    enum clause clause;
    bool closed; /* the clause's value is complete: a comment stood behind it */
    bool seen[FOR + 1];
};

static void take_word(struct reading *g, struct place *at, struct slice word)
{
    struct received *r = g->r;
    enum clause next = keyword(word);

    /* "from <address>" behind the rest is the envelope's sender (XMail, fetchmail). */
    if (next != NOWHERE && !(next == FROM && at->seen[FROM] && !at->seen[BY])) {
        if (next == FROM && at->seen[FROM])
            next = NOWHERE;
        at->clause = next == NOWHERE ? FROM : next;
        at->closed = next != NOWHERE && at->seen[next] && next != FOR;
        if (next == NOWHERE)
            at->closed = true;
        else
            at->seen[next] = true;
        return;
    }
    switch (at->clause) {
    case NOWHERE:
        break;
    case FROM:
        if (at->closed && word.p[0] == '<' && r->envelope_from.n == 0)
            r->envelope_from = strip(word, '<', '>');
        else if (!at->closed)
            take_from_word(g, word);
        break;
    case BY:
        if (r->by.n == 0)
            r->by = without_dot(word);
        break;
    case VIA:
        if (r->via.n == 0)
            r->via = word;
        break;
    case WITH:
        if (!at->closed)
            extend(&r->with, word);
        break;
    case ID:
        if (r->id.n == 0)
            r->id = strip(word, '<', '>');
        break;
    case FOR:
        if (r->for_address.n == 0) {
            if (word.n > 0 && word.p[word.n - 1] == ',')
                word.n--;
            r->for_address = strip(word, '<', '>');
        }
        break;
    }
}

static void take_tokens(struct reading *g, struct arena *a)
{
    struct place at = {.clause = NOWHERE};

    for (size_t i = 0; i < g->count; i++) {
        struct token t = g->tokens[i];
        if (t.kind == WORD) {
            take_word(g, &at, t.text);
        } else if (t.kind == COMMENT) {
            struct slice inner = t.text;
            if (at.clause == FROM && !at.closed)
                take_from_comment(g, t.text);
            else if (at.clause == NOWHERE && i == 0 && word_is(next_word(&inner), "from"))
                take_submitter(g, inner);
            else if (at.clause == BY)
                take_by_comment(g->r, t.text);
            if (at.clause == WITH && g->r->with.n > 0)
                at.closed = true;
            take_any_comment(g, t.text, a);
        } else if (t.text.p + 1 == g->date_part.p) {
            at.clause = NOWHERE; /* "id" may still follow the date; "by" and "with" are no dates */
        }
    }
}

/* --- the whole --- */

/* Exim's ids: 6-6-2, and 6-11-4 since 4.97. */
static bool is_exim_id(struct slice id)
{
    return (id.n == 16 && id.p[6] == '-' && id.p[13] == '-') ||
           (id.n == 23 && id.p[6] == '-' && id.p[18] == '-');
}

/* Decides what the word after "from" was: the HELO, the reverse name, or the address. */
static void settle_from(struct reading *g)
{
    struct received *r = g->r;
    struct slice first = without_dot(g->first);
    struct ip_address ip;
    bool is_ip = take_ip(first, &ip) && slice_find(first, '@') == SLICE_NONE;
    /* "name (1.2.3.4)" by qmail, CriticalPath and their like: the name was looked up. */
    bool plain = word_is(r->with, "SMTP") || word_is(r->with, "ESMTP");
    bool is_qmail = g->bare_ip && slice_find(first, '.') != SLICE_NONE &&
                    ((plain && r->id.n == 0) || r->with.n == 0);

    if (is_ip && r->ip.family == IP_NONE)
        r->ip = ip;
    if (g->first_is_rdns && !is_no_name(first) && !(is_ip && first.p[0] == '['))
        r->rdns = first;
    else if (r->rdns.n == 0 && !is_ip && r->ip.family != IP_NONE && !is_no_name(first) &&
             (g->is_exim || is_exim_id(r->id) || g->is_verified || is_qmail))
        r->rdns = first;
    if (!g->helo_seen)
        r->helo = first;
    else if (r->helo.n == 0 && !is_no_name(first) && r->rdns.n == 0)
        r->helo = first;
}

/* Without a semicolon the date begins at the first word from which one can be read. */
static struct slice find_date(struct reading *g)
{
    struct mail_date date;
    struct err e;

    for (size_t i = g->count > 12 ? g->count - 12 : 0; i < g->count; i++) {
        struct slice word = g->tokens[i].text;
        struct slice rest = {word.p, (size_t)(g->r->value.p + g->r->value.n - word.p)};
        bool may_begin = g->tokens[i].kind == WORD && word.n <= 10 &&
                         (ascii_is_digit(word.p[0]) || (word.n >= 3 && ascii_is_alpha(word.p[0])));
        if (may_begin && date_parse(rest, &date, &e) == 0)
            return rest;
    }
    return (struct slice){NULL, 0};
}

static void settle_date(struct reading *g)
{
    struct received *r = g->r;
    struct slice text = slice_trim(g->date_part);
    struct err e;

    r->has_date = text.n > 0 && date_parse(text, &r->date, &e) == 0;
    if (!r->has_date) {
        struct slice found = find_date(g);
        if (found.n > 0)
            text = found;
        r->has_date = found.n > 0 && date_parse(found, &r->date, &e) == 0;
    }
    r->date_text = text;
}

/* The value on one line, runs of white space as one space. */
static struct slice one_line(struct slice value, struct arena *a)
{
    struct slice s = slice_trim(slice_sub(value, 0, RECEIVED_SIZE_MAX));
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;

    if (p == NULL)
        return (struct slice){"", 0};
    for (size_t i = 0; i < s.n; i++) {
        bool space = ascii_is_space(s.p[i]) || s.p[i] == '\0';
        if (!space || (n > 0 && p[n - 1] != ' '))
            p[n++] = space ? ' ' : s.p[i];
    }
    while (n > 0 && p[n - 1] == ' ')
        n--;
    return (struct slice){p, n};
}

void received_parse(struct slice value, struct arena *a, struct received *received_out)
{
    struct received *r = received_out;
    struct reading g = {.r = r};

    *r = (struct received){.value = one_line(value, a)};
    cut_tokens(&g, r->value);
    take_tokens(&g, a);
    settle_from(&g);
    take_protocol(r, a);
    settle_date(&g);
    r->is_readable = r->by.n > 0 || r->helo.n > 0 || r->rdns.n > 0 || r->ip.family != IP_NONE;
}

struct slice received_host(const struct received *r)
{
    struct ip_address ip;
    bool is_poor = r->by.n == 0 || slice_find(r->by, '.') == SLICE_NONE || take_ip(r->by, &ip);

    return is_poor && r->by_name.n > 0 ? r->by_name : r->by;
}
