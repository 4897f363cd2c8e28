/* lib/bounce/report_in.h -- the state of one reading, shared by the files that read a report. */
#ifndef LIB_BOUNCE_REPORT_IN_H
#define LIB_BOUNCE_REPORT_IN_H

#include "base/arena.h"
#include "lib/bounce/phrases_in.h"
#include "lib/bounce/report.h"
#include "lib/message/mime.h"

#define READ_TEXT_MAX (256u << 10) /* bytes of words that are looked at */
#define READ_LINES_MAX 8192

struct line {
    struct slice text; /* without its end */
    unsigned marks;    /* phrase_kind bits */
};

struct bounce_reader {
    struct arena *arena;
    struct bounce_rules *rules;
    struct phrases *phrases;
    struct buf scratch;  /* one part's text */
    struct buf flat;     /* the classifier's */
    struct buf prose;    /* what the report says in words, LF, without what was returned */
    struct buf status;   /* message/delivery-status, LF */
    struct buf feedback; /* message/feedback-report, LF */
    struct buf receipt;  /* message/disposition-notification, LF */
    struct line lines[READ_LINES_MAX];
    size_t line_count;
    unsigned marks; /* of all lines and the subject together */

    struct mime_part *root;
    struct slice from, to, subject; /* of the report: address, address, decoded */
    struct header original;         /* of the returned message */
    bool has_original;
    bool has_nameless;        /* fields tell of a failure, but of nobody's that has an address */
    struct slice original_id; /* of the returned message, when a field of the report tells it */
    bool is_inner;            /* a report inside a report is being read, or was */
    struct bounce_recipient *items; /* BOUNCE_RECIPIENTS_MAX of them */
    size_t count;
    bool is_cut;
};

/* --- address_find.c --- */

struct found_address {
    struct slice address; /* local@domain */
    size_t start, end;    /* in the text, brackets included */
    bool in_brackets;
};
/* The next address at or after `at`; false if there is none. */
bool address_find(struct slice text, size_t at, struct found_address *found_out);

/* --- fields.c: RFC 3464 fields, wherever they stand --- */

/* Adds a recipient for each Final-Recipient; true if there was one. `text` has LF line ends and
 * outlives the reading. */
bool fields_read(struct bounce_reader *r, struct slice text);
/* Calls for each field of a block; folded lines are joined in the arena. */
bool field_next(struct bounce_reader *r, struct slice *rest, struct slice *name_out,
                struct slice *value_out, bool *is_blank_out);

/* --- prose.c: reports in words --- */

void prose_split(struct bounce_reader *r); /* fills lines and marks from prose */
void prose_read(struct bounce_reader *r);  /* adds recipients */
/* What the words say about one recipient: reply lines of a transcript, the paragraph about it. With
 * `near_only` no empty line may stand between: what comes below may be a scanner's footer. */
struct slice prose_reason(struct bounce_reader *r, struct slice address, bool near_only);
/* Delayed or failed, as the words as a whole have it. */
enum bounce_event prose_mode(const struct bounce_reader *r);
/* The offset in `text` (LF) where the returned message begins; text.n if it does not. */
size_t prose_find_original(struct slice text);

/* --- page.c: HTML --- */

/* Appends the words of a page: tags go, some of them end a line, a few entities are known. */
void page_append(struct buf *out, struct slice html);

/* --- kinds.c: complaints, receipts, auto-replies --- */

bool feedback_read(struct bounce_reader *r, struct bounce_report *report);
bool receipt_read(struct bounce_reader *r, struct bounce_report *report);
enum bounce_event kind_of_reply(struct bounce_reader *r);

/* --- report.c --- */

/* A new entry, or the one there is for this address; NULL when there are too many. */
struct bounce_recipient *report_add(struct bounce_reader *r, struct slice address);
struct bounce_recipient *report_get(struct bounce_reader *r, struct slice address);

#endif
