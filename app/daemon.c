#include "app/daemon.h"

#include <unistd.h>

#include "lib/message/date.h"

struct conf *daemon_conf(const char *path, const char **path_out)
{
    struct conf *conf;
    struct err e;

    if (path == NULL && access(DAEMON_CONFIG, R_OK) == 0)
        path = DAEMON_CONFIG;
    if (path_out != NULL)
        *path_out = path;
    conf = path == NULL ? conf_default() : conf_load(path, &e);
    if (conf == NULL)
        cli_die("%s", e.text);
    return conf;
}

struct ledger_reader *daemon_ledger(const struct conf *conf)
{
    struct ledger_reader *reader;
    char path[600];
    struct err e;

    (void)snprintf(path, sizeof path, "%s/ledger.sqlite", conf->data_dir);
    if (ledger_reader_open(path, &reader, &e) < 0)
        cli_die("%s; is data_dir of the settings right (--config), and has the daemon run?",
                e.text);
    return reader;
}

void daemon_append_time(struct buf *out, int64_t unix_ms)
{
    date_format_short(unix_ms / 1000, out);
    buf_printf(out, ".%03d", (int)(unix_ms % 1000));
}

void daemon_append_span(struct buf *out, int64_t ms)
{
    int64_t s = ms / 1000;

    if (ms < 0) {
        buf_append_char(out, '-');
        daemon_append_span(out, -ms);
    } else if (ms < 1000) {
        buf_printf(out, "%lld ms", (long long)ms);
    } else if (s < 60) {
        buf_printf(out, "%.1f s", (double)ms / 1000);
    } else if (s < 3600) {
        buf_printf(out, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
    } else if (s < 86400) {
        buf_printf(out, "%lld h %lld min", (long long)(s / 3600), (long long)(s % 3600 / 60));
    } else {
        buf_printf(out, "%lld d %lld h", (long long)(s / 86400), (long long)(s % 86400 / 3600));
    }
}

bool daemon_parse_span(struct slice text, int64_t *ms_out)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    uint64_t n;

    if (text.n < 2 || !slice_to_u64(slice_sub(text, 0, text.n - 1), &n) || n > 100000)
        return false;
    for (size_t i = 0; i < COUNT(units); i++)
        if (text.p[text.n - 1] == units[i].unit) {
            *ms_out = (int64_t)n * units[i].ms;
            return true;
        }
    return false;
}
