#include <errno.h>
#include <unistd.h>

#include "app/daemon.h"
#include "base/json.h"
#include "role/settings_check.h"

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

/* Whether a file that the settings name is there; said if not. */
static bool is_readable(const char *setting, const char *path)
{
    if (path[0] == '\0' || access(path, R_OK) == 0)
        return true;
    cli_warn("%s: %s: %s", setting, path, strerror(errno));
    return false;
}

static bool check_files(const struct conf *conf)
{
    bool good = is_readable("logins_file", conf->logins_file);

    good = is_readable("forwards_file", conf->forwards_file) && good;
    good = is_readable("bounce_rules", conf->bounce_rules) && good;
    good = is_readable("tls_certificate", conf->tls_certificate) && good;
    good = is_readable("tls_key", conf->tls_key) && good;
    good = is_readable("tls_ca_file", conf->tls_ca_file) && good;
    for (size_t i = 0; i < conf->key_count; i++)
        good = is_readable("file of a key", conf->keys[i].file) && good;
    for (size_t i = 0; i < conf->route_count; i++)
        good = is_readable("recipients_file", conf->routes[i].recipients_file) && good;
    return good;
}

int cmd_config(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "check|show|manual", "checks the settings, or shows them",
        "check reads the file, looks for the files that it names, and says what is wrong. show\n"
        "prints all settings with their values; with --changed only those that differ from the\n"
        "default. manual prints waybill.conf(5)."};
    const char *config = NULL, *path;
    bool json = false, changed = false;
    const struct cli_option options[] = {
        CLI_CONFIG(&config), CLI_JSON(&json),
        CLI_FLAG("changed", &changed, "only settings that differ from the default")};
    struct conf *conf;
    struct buf out;
    struct err e;
    bool good = true;

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
    bool is_check = slice_eq(slice_of(argv[0]), SLICE("check"));
    if (is_check)
        good = check_files(conf);
    if (is_check && good && settings_check(conf, &e) < 0) {
        cli_warn("%s", e.text);
        good = false;
    }
    if (is_check && good)
        buf_printf(&out, "%s is good: %zu listener%s, %zu stream%s, %zu key%s, %zu route%s\n",
                   path == NULL ? "no file: the defaults are used; that" : path,
                   conf->listener_count, conf->listener_count == 1 ? "" : "s", conf->stream_count,
                   conf->stream_count == 1 ? "" : "s", conf->key_count,
                   conf->key_count == 1 ? "" : "s", conf->route_count,
                   conf->route_count == 1 ? "" : "s");
    else if (is_check)
        cli_warn("%s names files that cannot be used: the daemon would not start", path);
    else if (!slice_eq(slice_of(argv[0]), SLICE("show")))
        cli_die("say check, show or manual, not %s", argv[0]);
    else if (json)
        show_json(conf, &out);
    else
        conf_print(conf, !changed, &out);
    cli_write(&out);
    buf_finish(&out);
    conf_destroy(&conf);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}
