/* waybill bench: figures of this machine. */
#include "app/bench.h"
#include "app/cli.h"

int cmd_bench(int argc, char **argv);

static const struct subject {
    const char *name;
    int (*run)(bool json);
} subjects[] = {
    {"bounce", bench_bounce},
    {"classify", bench_classify},
    {"dkim", bench_dkim},
    {"spf", bench_spf},
};

int cmd_bench(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "SUBJECT", "measures what this machine can do",
        "  bounce    read reports of several kinds\n"
        "  classify  say what SMTP replies mean\n"
        "  dkim      sign and verify a message, compared with the bare RSA and Ed25519 operation\n"
        "  spf       evaluate a record with two includes, answers cached"};
    bool json = false;
    const struct cli_option options[] = {CLI_JSON(&json)};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);

    for (size_t i = 0; i < COUNT(subjects) && operands == 1; i++) {
        if (strcmp(argv[0], subjects[i].name) == 0)
            return subjects[i].run(json);
    }
    cli_die("say what to measure: bounce, classify, dkim or spf");
}
