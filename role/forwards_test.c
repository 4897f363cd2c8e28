#include "role/forwards.h"

#include <unistd.h>

#include "base/test.h"
#include "role/recipients.h"

static const struct forward_case {
    const char *name, *file, *address, *targets; /* targets NULL: the file is refused */
} cases[] = {
    {"an address has another", "a@x.test b@y.test\n", "a@x.test", "b@y.test"},
    {"case does not matter", "Ann@X.test b@Y.test\n", "aNN@x.TEST", "b@Y.test"},
    {"several targets", "# team\n\na@x.test \t b@y.test   c@z.test\n", "a@x.test",
     "b@y.test c@z.test"},
    {"a whole domain", "@x.test b@y.test\n", "anybody@x.test", "b@y.test"},
    {"an address before its domain", "@x.test b@y.test\na@x.test c@y.test\n", "a@x.test",
     "c@y.test"},
    {"an address without its tag", "a@x.test b@y.test\n@x.test c@y.test\n", "A+tag@x.test",
     "b@y.test"},
    {"a tag that has a line of its own", "a@x.test b@y.test\na+tag@x.test c@y.test\n",
     "a+tag@x.test", "c@y.test"},
    {"a tag on an address that is not there", "@x.test c@y.test\n", "a+tag@x.test", "c@y.test"},
    {"another domain stays", "@x.test b@y.test\n", "a@sub.x.test", ""},
    {"a quoted local part with an at sign", "a@x.test b@y.test\n", "\"a@x.test\"@z.test", ""},
    {"no address", "a b@y.test\n", "", NULL},
    {"no target", "a@x.test\n", "", NULL},
    {"a target that is none", "a@x.test b\n", "", NULL},
    {"twice", "a@x.test b@y.test\nA@x.test c@y.test\n", "", NULL},
};

static void run_case(void **state)
{
    const struct forward_case *c = *state;
    char path[] = "/tmp/waybill-forwards-XXXXXX";
    char room[100];
    struct forwards *f;
    struct err e;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, c->file, strlen(c->file)), strlen(c->file));
    close(fd);
    f = forwards_load(path, &e);
    unlink(path);
    if (c->targets == NULL) {
        assert_null(f);
        assert_non_null(strchr(e.text, ':'));
    } else {
        assert_non_null(f);
        struct buf out = {.p = room, .cap = sizeof room, .max = sizeof room};
        struct slice untagged = recipient_untagged(slice_of(c->address), "+", &out);
        struct slice got = forwards_find(f, slice_of(c->address), untagged);
        assert_true(slice_eq(got, slice_of(c->targets)));
    }
    forwards_destroy(&f);
}

int main(void)
{
    RUN_TABLE(cases, run_case);
}
