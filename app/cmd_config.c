#include "app/daemon.h"
#include "base/json.h"

int cmd_config(int argc, char **argv);

static void show_json(const struct conf *conf, struct buf *out)
{
    const struct conf_setting *setting;
    struct buf value;
    struct json j;

    buf_init(&value, 1u << 20);
    json_begin(&j, out);
    json_object(&j);
    for (size_t i = 0; (setting = conf_table(i)) != NULL; i++) {
        buf_clear(&value);
        if (setting->group[0] != '\0' || !conf_get(conf, setting->name, &value))
            continue;
        json_key(&j, setting->name);
        json_object(&j);
        json_member_text(&j, "value", buf_slice(&value));
        json_member_string(&j, "default", setting->default_text);
        json_member_string(&j, "sentence", setting->sentence);
        json_member_bool(&j, "needs_restart", setting->restart);
        json_end(&j);
    }
    json_end(&j);
    buf_append_char(out, '\n');
    buf_finish(&value);
}

int cmd_config(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "check|show|manual", "checks the settings, or shows them",
        "check reads the file and says what is wrong. show prints all settings with their values;\n"
        "with --changed only those that differ from the default. manual prints waybill.conf(5)."};
    const char *config = NULL, *path;
    bool json = false, changed = false;
    const struct cli_option options[] = {
        CLI_CONFIG(&config), CLI_JSON(&json),
        CLI_FLAG("changed", &changed, "only settings that differ from the default")};
    struct conf *conf;
    struct buf out;

    if (cli_parse(&usage, options, COUNT(options), argc, argv) != 1)
        cli_die("say check, show or manual");
    buf_init(&out, 16u << 20);
    if (slice_eq(slice_of(argv[0]), SLICE("manual"))) {
        conf_manual(&out);
        cli_write(&out);
        buf_finish(&out);
        return CLI_GOOD;
    }
    conf = daemon_conf(config, &path);
    if (slice_eq(slice_of(argv[0]), SLICE("check")))
        buf_printf(&out, "%s is good: %zu listeners, %zu streams, %zu keys, %zu routes\n",
                   path == NULL ? "no file: the defaults are used; that" : path,
                   conf->listener_count, conf->stream_count, conf->key_count, conf->route_count);
    else if (!slice_eq(slice_of(argv[0]), SLICE("show")))
        cli_die("say check, show or manual, not %s", argv[0]);
    else if (json)
        show_json(conf, &out);
    else
        conf_print(conf, !changed, &out);
    cli_write(&out);
    buf_finish(&out);
    conf_destroy(&conf);
    return CLI_GOOD;
}
