#include "base/test.h"

#include "lib/text/charset.h"
#include "lib/text/encoded_word.h"

struct word_case {
    const char *name, *in, *out;
};
static const struct word_case cases[] = {
    {"plain text stays", "Hello world", "Hello world"},
    {"Q in Latin-1", "=?iso-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard"},
    {"B in UTF-8", "=?UTF-8?B?SsO8cmdlbg==?=", "J\xc3\xbcrgen"},
    {"an underscore is a space", "=?us-ascii?q?a_b?=", "a b"},
    {"white space between two words goes", "=?us-ascii?q?a?=\r\n =?us-ascii?q?b?= c", "ab c"},
    {"a character cut between two words", "=?utf-8?q?J=C3?= =?utf-8?q?=BCrgen?=", "J\xc3\xbcrgen"},
    {"a language tag", "=?us-ascii*en?q?a?=", "a"},
    {"a set only iconv knows",
     "=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"},
    {"Japanese, seven bits", "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac"},
    {"an unknown set is guessed", "=?x-unknown?q?caf=E9?=", "caf\xc3\xa9"},
    {"a broken word stays", "=?utf-8?x?a?= =?utf-8?q?a", "=?utf-8?x?a?= =?utf-8?q?a"},
    {"folding goes, its white space stays", "one\r\n\ttwo", "one two"},
    {"a decoded line end cannot forge a field", "=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"},
    {"a smart quote called iso-8859-1", "=?iso-8859-1?q?it=92s?=", "it\xe2\x80\x99s"},
    {"8-bit without a charset", "caf\xe9", "caf\xc3\xa9"},
};

static void run(void **state)
{
    const struct word_case *c = *state;
    struct buf out, encoded;

    buf_init(&out, 1000);
    buf_init(&encoded, 1000);
    encoded_word_decode(slice_of(c->in), &out);
    assert_true(slice_eq(buf_slice(&out), slice_of(c->out)));
    encoded_word_encode(buf_slice(&out), &encoded);
    buf_clear(&out);
    encoded_word_decode(buf_slice(&encoded), &out);
    assert_true(slice_eq(buf_slice(&out), slice_of(c->out)));
    buf_finish(&encoded);
    buf_finish(&out);
}

int main(void)
{
    RUN_TABLE(cases, run);
}
