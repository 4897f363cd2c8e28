#include "base/test.h"
#include "lib/bounce/classify.h"

/* A rule file, a reply, and which rule decides; or what is wrong with the file. */
struct file {
    const char *name, *text, *host, *reply;
    const char *rule; /* NULL: none */
    const char *wrong;
};

static const struct file files[] = {
    {"a word", "rule full mailbox_full\nmatch brimful\n", "", "550 brimful", "local/full", NULL},
    {"case is ignored", "rule full mailbox_full\nmatch brimful\n", "", "550 BRIMFUL", "local/full",
     NULL},
    {"the first rule decides", "rule a mailbox_full\nmatch x\nrule b expired\nmatch x\n", "", "5 x",
     "local/a", NULL},
    {"a higher tier decides before the order",
     "tier guess\nrule a mailbox_full\nmatch x\ntier provider\nrule b expired\nmatch x\n", "",
     "5 x", "local/b", NULL},
    {"not", "rule a mailbox_full\nmatch x\nnot y\n", "", "550 x y", NULL, NULL},
    {"need", "rule a mailbox_full\nmatch x\nneed y\n", "", "550 x", NULL, NULL},
    {"one of several matches is enough", "rule a mailbox_full\nmatch x\nmatch y\n", "", "550 y",
     "local/a", NULL},
    {"a host and what lies below it", "provider p\nhost mx.example\nrule a mailbox_full\nmatch x\n",
     "in.mx.example", "550 x", "p/a", NULL},
    {"another host", "provider p\nhost mx.example\nrule a mailbox_full\nmatch x\n", "amx.example",
     "550 x", NULL, NULL},
    {"a status with a star", "rule a mailbox_full\nstatus 5.2.*\n", "", "550 5.2.22 z", "local/a",
     NULL},
    {"a class with a star", "rule a mailbox_full\nstatus *.2.2\n", "", "450 4.2.2 z", "local/a",
     NULL},
    {"another status", "rule a mailbox_full\nstatus 5.2.*\n", "", "550 5.3.2 z", NULL, NULL},
    {"a code", "rule a mailbox_full\ncode 55*\n", "", "552 z", "local/a", NULL},
    {"a phase", "rule a mailbox_full\nphase rcpt\n", "", "552 z (in reply to RCPT TO command)",
     "local/a", NULL},
    {"comments and empty lines", "# x\n\r\n  rule a mailbox_full\n  match x\n", "", "550 x",
     "local/a", NULL},
    {"an unknown category", "rule a mailbox_fool\n", "", "", NULL,
     "test.conf:1: no such category: \"mailbox_fool\""},
    {"an unknown statement", "\nrule a expired\nmatsch x\n", "", "", NULL,
     "test.conf:3: no such statement: \"matsch\""},
    {"a condition before any rule", "match x\n", "", "", NULL,
     "test.conf:1: this stands before any rule, or is no statement: \"match\""},
    {"an unknown tier", "tier high\n", "", "", NULL,
     "test.conf:1: no such tier (provider, code, text, guess): \"high\""},
    {"a pattern that is no pattern", "rule a expired\nmatch (x\n", "", "", NULL,
     "test.conf:2: this pattern is not possible (Missing close"},
    {"a look-behind, which is not linear", "rule a expired\nmatch (?<=x)y\n", "", "", NULL,
     "test.conf:2: this pattern is not possible ("},
    {"a text rule decides when none of a higher tier fits",
     "tier code\nrule a mailbox_full\nmatch x\nnot y\ntier text\nrule b expired\nmatch y\n", "",
     "550 x y", "local/b", NULL},
};

static void check_file(void **state)
{
    const struct file *c = *state;
    struct bounce_rules *rules = bounce_rules_create();
    struct bounce_reply reply = {.text = slice_of(c->reply), .host = slice_of(c->host)};
    struct bounce_verdict verdict;
    struct buf scratch;
    struct err e = {0};

    buf_init(&scratch, 2 * BOUNCE_TEXT_MAX);
    int read = bounce_rules_add(rules, "test.conf", slice_of(c->text), &e);
    if (read == 0)
        read = bounce_rules_compile(rules, &e);
    assert_int_equal(read, c->wrong != NULL ? -1 : 0);
    if (c->wrong != NULL) {
        assert_true(slice_starts(slice_of(e.text), slice_of(c->wrong)));
    } else {
        bounce_classify(rules, &reply, &scratch, &verdict);
        if (c->rule != NULL)
            assert_string_equal(verdict.rule, c->rule);
        else
            assert_int_equal(verdict.category, BOUNCE_UNDETERMINED);
    }
    buf_finish(&scratch);
    bounce_rules_destroy(&rules);
}

int main(void)
{
    RUN_TABLE(files, check_file);
}
