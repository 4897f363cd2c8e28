/* The words of an HTML page. What can follow from a page is only the words of a report, so a few
 * tags and entities are enough; what stands in a tag that does not end is not read. */
#include "base/ascii.h"
#include "lib/bounce/report_in.h"

/* Where a tag at the start of `rest` ends: at its '>'; that of a style or script at the '>' of its
 * end tag. SLICE_NONE when it does not. `no_end_tag` remembers that none is ahead, so that many
 * such tags do not cost a search each. */
static size_t tag_end(struct slice rest, bool *no_end_tag)
{
    size_t close = slice_find(rest, '>');
    struct slice tag = slice_from(rest, 1);

    if (close == SLICE_NONE || *no_end_tag ||
        (!slice_starts_nocase(tag, SLICE("style")) && !slice_starts_nocase(tag, SLICE("script"))))
        return close;
    size_t end = slice_search_nocase(rest, SLICE("</s"));
    if (end == SLICE_NONE) {
        *no_end_tag = true;
        return close;
    }
    size_t after = slice_find(slice_from(rest, end), '>');
    return after == SLICE_NONE ? SLICE_NONE : end + after;
}

static void append_break(struct buf *out, struct slice tag)
{
    static const char *const breaks[] = {"br", "p",  "/p", "div", "/div", "tr",  "/tr", "li", "/li",
                                         "h1", "h2", "h3", "/h1", "/h2",  "/h3", "/td", "pre"};

    for (size_t k = 0; k < COUNT(breaks); k++) {
        struct slice name = slice_of(breaks[k]);
        if (slice_starts_nocase(tag, name) && (tag.n == name.n || !ascii_is_alnum(tag.p[name.n])))
            buf_append_char(out, '\n');
    }
}

void page_append(struct buf *out, struct slice html)
{
    static const struct {
        const char *entity;
        char c;
    } entities[] = {{"&lt;", '<'},   {"&gt;", '>'},  {"&amp;", '&'}, {"&nbsp;", ' '},
                    {"&quot;", '"'}, {"&#64;", '@'}, {"&#39;", '\''}};
    bool no_end_tag = false;

    for (size_t i = 0; i < html.n && !out->full; i++) {
        struct slice rest = slice_from(html, i);
        if (html.p[i] == '<') {
            size_t close = tag_end(rest, &no_end_tag);
            if (close == SLICE_NONE)
                return;
            struct slice tag = slice_sub(rest, 1, slice_find(rest, '>') - 1);
            /* "<a@b>" in HTML is an error of the writer, but a frequent one */
            if (slice_find(tag, '@') != SLICE_NONE && slice_find(tag, ' ') == SLICE_NONE)
                buf_append(out, slice_sub(rest, 0, close + 1));
            else
                append_break(out, tag);
            i += close;
            continue;
        }
        size_t k = 0;
        while (html.p[i] == '&' && k < COUNT(entities) &&
               !slice_starts_nocase(rest, slice_of(entities[k].entity)))
            k++;
        if (html.p[i] == '&' && k < COUNT(entities)) {
            buf_append_char(out, entities[k].c);
            i += strlen(entities[k].entity) - 1;
        } else {
            buf_append_char(out, html.p[i]);
        }
    }
}
