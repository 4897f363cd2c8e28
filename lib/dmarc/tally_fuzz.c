/* Property: a row that is read and written reads to the same; a report made of it is XML that reads
 * to the same row. */
#include <assert.h>

#include "lib/dmarc/tally.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create((size_t)4 << 20);
    struct slice text = {(const char *)data, size}, rows, line;
    struct dmarc_report report = {.org_name = SLICE("x")}, read;
    struct dmarc_piece piece;
    struct buf first, second, xml;
    struct dmarc_row row;
    struct err e;
    uint64_t count;

    buf_init(&first, (size_t)1 << 20);
    buf_init(&second, (size_t)1 << 20);
    buf_init(&xml, (size_t)1 << 20);
    if (dmarc_tally_read_row(text, arena, &row)) {
        dmarc_tally_write_row(&row, &first);
        assert(first.n <= DMARC_TALLY_LINE_MAX);
        if (first.n > 0) {
            assert(dmarc_tally_read_row(buf_slice(&first), arena, &row));
            dmarc_tally_write_row(&row, &second);
            assert(slice_eq(buf_slice(&first), buf_slice(&second)));
            report.rows = &row;
            dmarc_report_write(&report, &xml);
            assert(dmarc_report_read(buf_slice(&xml), arena, &read, &e) == 0);
            buf_clear(&second);
            dmarc_tally_write_row(read.rows, &second);
            assert(slice_eq(buf_slice(&first), buf_slice(&second)));
        }
    }
    if (dmarc_tally_read_piece(text, &piece, &rows))
        while (dmarc_tally_next_row(&rows, &line, &count))
            assert(line.n <= DMARC_TALLY_LINE_MAX);
    buf_finish(&first);
    buf_finish(&second);
    buf_finish(&xml);
    arena_destroy(&arena);
    return 0;
}
