#include "app/daemon.h"
#include "role/super.h"
#include "rt/proc/proc.h"

int cmd_serve(int argc, char **argv);

int cmd_serve(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "", "runs the daemon in the foreground",
        "SIGTERM and SIGINT stop it: what was begun is finished. SIGHUP reads the settings again."};
    const char *config = NULL;
    bool one_process = false;
    const struct cli_option options[] = {
        CLI_CONFIG(&config),
        CLI_FLAG("one-process", &one_process, "run all roles in this process, for debugging"),
    };
    struct super_options super = {0};
    struct conf *conf;
    struct err e;

    if (cli_parse(&usage, options, COUNT(options), argc, argv) != 0)
        cli_die("takes no file; the settings are named with --config FILE");
    conf = daemon_conf(config, &super.config_path);
    super.one_process = one_process;
    if (super_run(conf, &super, &e) < 0)
        cli_die("%s", e.text);
    return CLI_GOOD;
}
