#include "app/eml.h"

#define EML_MAX ((size_t)1 << 30)

/* Gives every LF its CR back. */
static void convert(struct slice in, struct buf *out)
{
    while (in.n > 0) {
        size_t n = slice_find(in, '\n');

        if (n == SLICE_NONE) {
            buf_append(out, in);
            return;
        }
        buf_append(out, slice_sub(in, 0, n));
        buf_append(out, n > 0 && in.p[n - 1] == '\r' ? SLICE("\n") : SLICE("\r\n"));
        in = slice_from(in, n + 1);
    }
}

void eml_open(const char *path, struct eml *eml_out)
{
    struct slice all;
    size_t first, end;

    eml_out->file = cli_file_need(path, EML_MAX);
    all = eml_out->file.data;
    first = slice_find(all, '\n');
    buf_init(&eml_out->converted, 2 * EML_MAX);
    if (first != SLICE_NONE && (first == 0 || all.p[first - 1] != '\r')) {
        convert(all, &eml_out->converted);
        all = buf_slice(&eml_out->converted);
    }
    if (slice_starts(all, SLICE("From ")))
        all = slice_from(all, slice_find(all, '\n') + 1);
    if (slice_starts(all, SLICE("\r\n"))) {
        eml_out->header = slice_sub(all, 0, 0);
        eml_out->body = slice_from(all, 2);
        return;
    }
    end = slice_search(all, SLICE("\r\n\r\n"));
    eml_out->header = end == SLICE_NONE ? all : slice_sub(all, 0, end + 2);
    eml_out->body = end == SLICE_NONE ? slice_from(all, all.n) : slice_from(all, end + 4);
}

void eml_close(struct eml *eml)
{
    buf_finish(&eml->converted);
    cli_file_close(&eml->file);
}
