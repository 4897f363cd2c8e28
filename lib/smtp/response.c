#include "base/ascii.h"
#include "lib/smtp/reply.h"

void smtp_response_parser_init(struct smtp_response_parser *p)
{
    *p = (struct smtp_response_parser){0};
    buf_init(&p->line, SMTP_RESPONSE_LINE_MAX);
    buf_init(&p->text, SMTP_RESPONSE_TEXT_MAX);
}

void smtp_response_parser_finish(struct smtp_response_parser *p)
{
    buf_finish(&p->line);
    buf_finish(&p->text);
}

/* The length of "class.subject.detail" at the start of `text`, if its class is `class`; else 0. */
static size_t enhanced_length(struct slice text, char class)
{
    size_t at = 1;

    if (text.n < 5 || text.p[0] != class)
        return 0;
    for (unsigned part = 0; part < 2; part++) {
        size_t digits = 0;

        if (at >= text.n || text.p[at++] != '.')
            return 0;
        while (at < text.n && ascii_is_digit(text.p[at]))
            at++, digits++;
        if (digits < 1 || digits > 3)
            return 0;
    }
    return at == text.n || ascii_is_wsp(text.p[at]) ? at : 0;
}

static void add_text(struct smtp_response_parser *p, struct slice text)
{
    if (p->lines > 1)
        buf_append_char(&p->text, p->keep_lines ? '\n' : ' ');
    text = slice_sub(text, 0, p->text.max - p->text.n); /* too much is cut, not refused */
    for (size_t i = 0; i < text.n; i++)
        buf_append_char(&p->text, ascii_is_control(text.p[i]) ? '?' : text.p[i]);
}

/* One line without its end. Returns as smtp_response_parse(). */
static int take_line(struct smtp_response_parser *p, struct slice line, struct err *e)
{
    struct slice text = slice_from(line, 4);
    size_t n;

    if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !ascii_is_digit(line.p[1]) ||
        !ascii_is_digit(line.p[2]) || (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
        return err_set(e, ERR_SYNTAX, "not an SMTP reply: \"%.*s\"",
                       SLICE_ARG(slice_sub(line, 0, 80)));
    if (++p->lines > SMTP_RESPONSE_LINES_MAX)
        return err_set(e, ERR_LIMIT, "a reply of more than %d lines", SMTP_RESPONSE_LINES_MAX);
    p->code = (unsigned)(line.p[0] - '0') * 100 + (unsigned)(line.p[1] - '0') * 10 +
              (unsigned)(line.p[2] - '0');
    n = enhanced_length(text, line.p[0]);
    if (n > 0) {
        memcpy(p->enhanced, text.p, n);
        p->enhanced[n] = '\0';
        text = slice_trim_start(slice_from(text, n));
    }
    add_text(p, text);
    if (line.n > 3 && line.p[3] == '-')
        return 0;
    if (p->enhanced[0] != line.p[0])
        p->enhanced[0] = '\0';
    p->complete = true;
    return 1;
}

static void start_anew(struct smtp_response_parser *p)
{
    buf_clear(&p->text);
    p->code = p->lines = 0;
    p->enhanced[0] = '\0';
    p->complete = false;
}

int smtp_response_parse(struct smtp_response_parser *p, struct slice *in,
                        struct smtp_response *response_out, struct err *e)
{
    if (p->complete)
        start_anew(p);
    while (in->n > 0) {
        size_t lf = slice_find(*in, '\n');
        struct slice line = slice_sub(*in, 0, lf);
        int result;

        *in = slice_from(*in, lf == SLICE_NONE ? in->n : lf + 1);
        if (p->line.n > 0 || lf == SLICE_NONE) {
            buf_append(&p->line, line);
            line = buf_slice(&p->line);
        }
        if (p->line.full || line.n > SMTP_RESPONSE_LINE_MAX)
            return err_set(e, ERR_LIMIT, "a reply line longer than %d bytes",
                           SMTP_RESPONSE_LINE_MAX);
        if (lf == SLICE_NONE)
            return 0;
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        result = take_line(p, line, e);
        buf_finish(&p->line); /* an idle connection holds no memory for it */
        if (result == 1)
            *response_out =
                (struct smtp_response){p->code, slice_of(p->enhanced), buf_slice(&p->text)};
        if (result != 0)
            return result;
    }
    return 0;
}
