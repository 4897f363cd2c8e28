#include "app/cli.h"
#include "base/json.h"

int cmd_version(int argc, char **argv);

int cmd_version(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "", "says which version this is, and what it was built with", NULL};
    bool as_json = false;
    const struct cli_option options[] = {CLI_JSON(&as_json)};
    struct buf out;
    struct json j;

    if (cli_parse(&usage, options, COUNT(options), argc, argv) != 0)
        cli_die("takes no file");
    buf_init(&out, 1024);
    if (as_json) {
        json_begin(&j, &out);
        json_object(&j);
        json_member_string(&j, "version", WAYBILL_VERSION);
        json_member_string(&j, "compiler", __VERSION__);
        json_end(&j);
        buf_append_char(&out, '\n');
    } else {
        buf_printf(&out, "waybill %s\n", WAYBILL_VERSION);
    }
    cli_write(&out);
    buf_finish(&out);
    return CLI_GOOD;
}
