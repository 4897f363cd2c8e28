#include "base/json.h"

#include <assert.h>

#include "base/utf8.h"

void json_begin(struct json *j, struct buf *out)
{
    *j = (struct json){.out = out};
}

static void separate(struct json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->depth > 0) {
        if (j->has_items[j->depth - 1])
            buf_append_char(j->out, ',');
        j->has_items[j->depth - 1] = true;
    }
}

static void open_level(struct json *j, bool is_object)
{
    assert(j->depth < JSON_DEPTH_MAX);
    separate(j);
    buf_append_char(j->out, is_object ? '{' : '[');
    j->has_items[j->depth] = false;
    j->is_object[j->depth] = is_object;
    j->depth++;
}

void json_object(struct json *j)
{
    open_level(j, true);
}

void json_array(struct json *j)
{
    open_level(j, false);
}

void json_end(struct json *j)
{
    assert(j->depth > 0);
    j->depth--;
    buf_append_char(j->out, j->is_object[j->depth] ? '}' : ']');
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f && c != '"' && c != '\\';
}

static void quote(struct buf *out, struct slice s)
{
    buf_append_char(out, '"');
    while (s.n > 0) {
        size_t plain = 0;

        while (plain < s.n && is_plain(s.p[plain]))
            plain++;
        buf_append(out, slice_sub(s, 0, plain));
        s = slice_from(s, plain);
        if (s.n == 0)
            break;
        size_t n = utf8_sequence(s);
        if (n == 0) {
            buf_append(out, SLICE("\xef\xbf\xbd"));
            n = 1;
        } else if (n > 1) {
            buf_append(out, slice_sub(s, 0, n));
        } else if (s.p[0] == '"' || s.p[0] == '\\') {
            buf_append_char(out, '\\');
            buf_append_char(out, s.p[0]);
        } else if (s.p[0] == '\n') {
            buf_append(out, SLICE("\\n"));
        } else if (s.p[0] == '\r') {
            buf_append(out, SLICE("\\r"));
        } else if (s.p[0] == '\t') {
            buf_append(out, SLICE("\\t"));
        } else {
            buf_printf(out, "\\u%04x", (unsigned char)s.p[0]);
        }
        s = slice_from(s, n);
    }
    buf_append_char(out, '"');
}

void json_key(struct json *j, const char *key)
{
    separate(j);
    quote(j->out, slice_of(key));
    buf_append_char(j->out, ':');
    j->after_key = true;
}

void json_text(struct json *j, struct slice text)
{
    separate(j);
    quote(j->out, text);
}

void json_string(struct json *j, const char *text)
{
    if (text == NULL)
        json_null(j);
    else
        json_text(j, slice_of(text));
}

void json_int(struct json *j, int64_t value)
{
    separate(j);
    buf_printf(j->out, "%lld", (long long)value);
}

void json_double(struct json *j, double value, unsigned decimals)
{
    separate(j);
    buf_printf(j->out, "%.*f", (int)decimals, value);
}

void json_bool(struct json *j, bool value)
{
    separate(j);
    buf_append_text(j->out, value ? "true" : "false");
}

void json_null(struct json *j)
{
    separate(j);
    buf_append_text(j->out, "null");
}

void json_member_text(struct json *j, const char *key, struct slice text)
{
    json_key(j, key);
    json_text(j, text);
}

void json_member_string(struct json *j, const char *key, const char *text)
{
    json_key(j, key);
    json_string(j, text);
}

void json_member_int(struct json *j, const char *key, int64_t value)
{
    json_key(j, key);
    json_int(j, value);
}

void json_member_bool(struct json *j, const char *key, bool value)
{
    json_key(j, key);
    json_bool(j, value);
}
