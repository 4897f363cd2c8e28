#include "lib/bounce/classify.h"

#include "base/ascii.h"

/* --- codes --- */

static bool is_code_edge(char c)
{
    return !ascii_is_alnum(c) && c != '.' && c != '@' && c != '_';
}

unsigned bounce_find_code(struct slice text)
{
    const char *p = text.p;

    for (size_t i = 0; i + 3 <= text.n; i++) {
        if (p[i] != '4' && p[i] != '5')
            continue;
        if (p[i + 1] < '0' || p[i + 1] > '9' || !ascii_is_digit(p[i + 2]))
            continue;
        if (i > 0 && (!is_code_edge(p[i - 1]) || p[i - 1] == '-'))
            continue;
        if (i + 3 < text.n && !is_code_edge(p[i + 3]))
            continue;
        /* the second digit of a reply is 0 to 5 (RFC 5321 4.2.1); 0-9 are seen: take what is near
         */
        if (p[i + 1] > '7')
            continue;
        return (unsigned)(p[i] - '0') * 100 + (unsigned)(p[i + 1] - '0') * 10 +
               (unsigned)(p[i + 2] - '0');
    }
    return 0;
}

/* The length of "D.DDD.DDD" at the start of `s`, or 0. */
static size_t status_length(struct slice s)
{
    size_t n = 2, digits = 0;

    if (s.n < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5') || s.p[1] != '.')
        return 0;
    while (n < s.n && digits < 3 && ascii_is_digit(s.p[n]))
        n++, digits++;
    if (digits == 0 || n >= s.n || s.p[n] != '.')
        return 0;
    n++;
    digits = 0;
    while (n < s.n && digits < 3 && ascii_is_digit(s.p[n]))
        n++, digits++;
    if (digits == 0 || (n < s.n && (ascii_is_alnum(s.p[n]))))
        return 0;
    if (n + 1 < s.n && s.p[n] == '.' && ascii_is_digit(s.p[n + 1]))
        return 0; /* an address or a version number */
    return n;
}

struct slice bounce_find_status(struct slice text)
{
    struct slice vague = {NULL, 0};

    for (size_t i = 0; i + 5 <= text.n; i++) {
        if (text.p[i + 1] != '.' || !ascii_is_digit(text.p[i]))
            continue;
        if (i > 0 && (ascii_is_alnum(text.p[i - 1]) || text.p[i - 1] == '.'))
            continue;
        struct slice found = slice_sub(text, i, status_length(slice_from(text, i)));
        if (found.n == 0)
            continue;
        if (!slice_ends(found, SLICE(".0.0")) || found.p[0] == '2')
            return found;
        if (vague.n == 0)
            vague = found;
    }
    return vague;
}

/* --- the phase --- */

/* What implementations write about the command that was refused. */
static const struct {
    const char *words;
    enum bounce_phase phase;
} phase_words[] = {
    {"in reply to end of DATA", BOUNCE_PHASE_DATA},
    {"in reply to DATA", BOUNCE_PHASE_DATA},
    {"in reply to RCPT TO", BOUNCE_PHASE_RCPT},
    {"in reply to MAIL FROM", BOUNCE_PHASE_MAIL},
    {"in reply to EHLO", BOUNCE_PHASE_HELO},
    {"in reply to HELO", BOUNCE_PHASE_HELO},
    {"after end of data", BOUNCE_PHASE_DATA},
    {"after pipelined DATA", BOUNCE_PHASE_DATA},
    {"after DATA", BOUNCE_PHASE_DATA},
    {"after RCPT TO", BOUNCE_PHASE_RCPT},
    {"after pipelined RCPT", BOUNCE_PHASE_RCPT},
    {"after MAIL FROM", BOUNCE_PHASE_MAIL},
    {"after pipelined MAIL", BOUNCE_PHASE_MAIL},
    {"after EHLO", BOUNCE_PHASE_HELO},
    {"after HELO", BOUNCE_PHASE_HELO},
    {"after initial connection", BOUNCE_PHASE_CONNECT},
    {"refused to talk to me", BOUNCE_PHASE_CONNECT},
    {"[RCPT_TO]", BOUNCE_PHASE_RCPT},
    {"while performing the HELO", BOUNCE_PHASE_HELO},
};

static enum bounce_phase find_phase(struct slice text)
{
    if (slice_search(text, SLICE("in reply to")) == SLICE_NONE &&
        slice_search(text, SLICE("after ")) == SLICE_NONE &&
        slice_search(text, SLICE("refused to")) == SLICE_NONE &&
        slice_search(text, SLICE("[RCPT_TO]")) == SLICE_NONE &&
        slice_search(text, SLICE("while ")) == SLICE_NONE)
        return BOUNCE_PHASE_UNKNOWN;
    for (size_t i = 0; i < COUNT(phase_words); i++)
        if (slice_search_nocase(text, slice_of(phase_words[i].words)) != SLICE_NONE)
            return phase_words[i].phase;
    return BOUNCE_PHASE_UNKNOWN;
}

/* --- the verdict --- */

/* One temporary failure never suppresses at once: the thresholds of a refusal apply. */
static const struct bounce_threshold cautious = {3, 14, "3/14d"};
static const struct bounce_threshold never = {0, 0, "never"};

void bounce_verdict_of(enum bounce_category category, char class_digit, bool is_delayed,
                       struct bounce_verdict *verdict_out)
{
    const struct bounce_meaning *m = bounce_meaning(category);
    enum bounce_retry retry = m->retry;
    struct bounce_threshold suppress = m->suppress;

    if (is_delayed)
        suppress = never;
    else if (class_digit == '4' && m->hard && suppress.count < cautious.count)
        suppress = cautious;
    if (class_digit == '4' || is_delayed)
        retry = retry == BOUNCE_RETRY_NO ? BOUNCE_RETRY_YES : retry;
    else if (!m->retry_5xx)
        retry = BOUNCE_RETRY_NO;
    *verdict_out = (struct bounce_verdict){
        .category = category,
        /* who may come again is not told "dead" */
        .hard = m->hard && class_digit != '4' && !is_delayed,
        .retry = retry,
        .suppress = suppress,
        .who = m->who,
        .rule = "none",
    };
}

/* What every line of a reply of several lines begins with: "550-5.7.1 ". Empty when it is no such
 * reply. */
static struct slice line_prefix(struct slice text)
{
    if (text.n < 5 || bounce_find_code(slice_sub(text, 0, 4)) == 0 || text.p[3] != '-')
        return (struct slice){NULL, 0};
    size_t status = status_length(slice_from(text, 4));
    return slice_sub(text, 0, status > 0 ? 4 + status : 4);
}

/* The length of the prefix if it stands at the start of a further line; the last line has a blank
 * for the hyphen. */
static size_t repeated_prefix(struct slice rest, struct slice prefix)
{
    if (prefix.n == 0 || rest.n < prefix.n || memcmp(rest.p, prefix.p, 3) != 0 ||
        (rest.p[3] != '-' && rest.p[3] != ' '))
        return 0;
    return slice_eq(slice_sub(rest, 4, prefix.n - 4), slice_from(prefix, 4)) ? prefix.n : 0;
}

/* One line, white space collapsed, the codes of further lines left out, a ceiling; so that a rule's
 * words match however it was folded. */
static struct slice flatten(struct slice text, struct buf *scratch)
{
    size_t max = text.n < BOUNCE_TEXT_MAX ? text.n : BOUNCE_TEXT_MAX;
    struct slice prefix = line_prefix(text);

    buf_clear(scratch);
    char *out = buf_room(scratch, max + 1);
    size_t n = 0;

    if (out == NULL)
        return (struct slice){NULL, 0};
    for (size_t i = 0; i < text.n && n < max; i++) {
        bool space = ascii_is_space(text.p[i]);
        if (n > 0 && out[n - 1] == ' ') {
            i += repeated_prefix(slice_from(text, i), prefix);
            if (i >= text.n)
                break;
            space = ascii_is_space(text.p[i]);
        }
        if (space && (n == 0 || out[n - 1] == ' '))
            continue;
        out[n++] = space ? ' ' : text.p[i];
    }
    buf_claim(scratch, n);
    return buf_slice(scratch);
}

/* What was found out about a reply before its words are asked. */
struct codes {
    unsigned code;
    struct slice status;
    enum bounce_phase phase;
};

/* Where "550 " or "550-" begins inside a text; 0 when there is none or it begins there. */
static size_t reply_start(struct slice text)
{
    for (size_t i = 1; i + 4 < text.n; i++) {
        if ((text.p[i] != '4' && text.p[i] != '5') || !ascii_is_space(text.p[i - 1]))
            continue;
        if (text.p[i + 1] >= '0' && text.p[i + 1] <= '7' && ascii_is_digit(text.p[i + 2]) &&
            (text.p[i + 3] == ' ' || text.p[i + 3] == '-'))
            return bounce_find_code(slice_sub(text, 0, i)) == 0 ? i : 0;
    }
    return 0;
}

static const struct bounce_rule *ask(struct bounce_rules *rules, const struct bounce_reply *reply,
                                     struct slice words, struct buf *scratch,
                                     const struct codes *codes)
{
    struct slice text = flatten(words, scratch);

    return bounce_rules_match(rules, &(struct bounce_question){
                                         .text = text,
                                         .host = reply->host,
                                         .code = codes->code,
                                         .status = codes->status,
                                         .phase = codes->phase,
                                     });
}

void bounce_classify(struct bounce_rules *rules, const struct bounce_reply *reply,
                     struct buf *scratch, struct bounce_verdict *verdict_out)
{
    struct codes codes = {.code = reply->code, .status = reply->status};
    struct slice text = slice_sub(reply->text, 0, BOUNCE_TEXT_MAX);

    if (codes.code == 0)
        codes.code = bounce_find_code(text);
    struct slice found = bounce_find_status(text);
    /* The words are nearer to the refusal than a field that a relay has filled in. */
    if (codes.status.n == 0 || (found.n > 0 && !slice_ends(found, SLICE(".0.0"))))
        codes.status = found;

    codes.phase = find_phase(text);
    if (codes.phase == BOUNCE_PHASE_UNKNOWN)
        codes.phase = find_phase(slice_sub(reply->fallback, 0, BOUNCE_TEXT_MAX));
    /* "host x said: 550 ...": the reply itself first, then with what stands before it. */
    const struct bounce_rule *rule = NULL;
    size_t at = reply_start(text);
    if (at > 0)
        rule = ask(rules, reply, slice_from(text, at), scratch, &codes);
    if (rule == NULL || rule->tier == BOUNCE_TIER_GUESS)
        rule = ask(rules, reply, text, scratch, &codes);
    /* That it is late is no reason when the text tells no more: what stands around it may. */
    bool only_late = rule != NULL && rule->category == BOUNCE_EXPIRED && codes.code == 0;
    if ((rule == NULL || rule->tier == BOUNCE_TIER_GUESS || only_late) && reply->fallback.n > 0) {
        const struct bounce_rule *second = ask(rules, reply, reply->fallback, scratch, &codes);
        if (second != NULL && (rule == NULL || second->tier < rule->tier ||
                               (only_late && second->tier == rule->tier)))
            rule = second;
    }
    char digit = '0';
    if (codes.code >= 400)
        digit = codes.code < 500 ? '4' : '5';
    else if (codes.status.n > 0)
        digit = codes.status.p[0];
    bounce_verdict_of(rule != NULL ? rule->category : BOUNCE_UNDETERMINED, digit, reply->is_delayed,
                      verdict_out);
    if (rule != NULL)
        verdict_out->rule = rule->name;
    else if (digit == '4' || digit == '5')
        verdict_out->rule = digit == '4' ? "class/4" : "class/5";
    verdict_out->code = codes.code;
    verdict_out->status = codes.status;
}
