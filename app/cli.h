/* app/cli.h -- what every toolbox command shares: options, input files, colour, exit status.
 *
 *     int cmd_trace(int argc, char **argv)       argv[0] is the command's name
 *     {
 *         bool json = false;
 *         const struct cli_option options[] = {CLI_JSON(&json)};
 *         static const struct cli_usage usage = {"FILE...", "shows the path of a message", NULL};
 *         int files = cli_parse(&usage, options, COUNT(options), argc, argv);  (in
 * argv[0..files-1])
 *
 * Exit status: CLI_GOOD, CLI_BAD_ANSWER (verification failed, duplicates found), CLI_USAGE. */
#ifndef APP_CLI_H
#define APP_CLI_H

#include "base/base.h"

enum { CLI_GOOD = 0, CLI_BAD_ANSWER = 1, CLI_USAGE = 2 };

/* --- options --- */

enum cli_kind {
    CLI_KIND_FLAG,   /* bool *: set to true */
    CLI_KIND_TEXT,   /* const char **: the value as given */
    CLI_KIND_NUMBER, /* int64_t *: a decimal number */
    CLI_KIND_LIST,   /* struct cli_list *: may be given many times */
};
#define CLI_LIST_MAX 64
struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t count;
};
struct cli_option {
    const char *name; /* without the two dashes; one letter: with one dash ("v" is -v) */
    enum cli_kind kind;
    void *value;
    const char *placeholder; /* what --help shows for the value; NULL for flags */
    const char *sentence;
};
#define CLI_FLAG(name, target, sentence)                                                           \
    {                                                                                              \
        (name), CLI_KIND_FLAG, (target), NULL, (sentence)                                          \
    }
#define CLI_TEXT(name, target, placeholder, sentence)                                              \
    {                                                                                              \
        (name), CLI_KIND_TEXT, (target), (placeholder), (sentence)                                 \
    }
#define CLI_NUMBER(name, target, placeholder, sentence)                                            \
    {                                                                                              \
        (name), CLI_KIND_NUMBER, (target), (placeholder), (sentence)                               \
    }
#define CLI_LIST(name, target, placeholder, sentence)                                              \
    {                                                                                              \
        (name), CLI_KIND_LIST, (target), (placeholder), (sentence)                                 \
    }
/* The options that many commands have, said in the same words everywhere. */
#define CLI_JSON(target) CLI_FLAG("json", target, "print JSON, for programs")
#define CLI_DNS(target)                                                                            \
    CLI_TEXT("dns", target, "FILE",                                                                \
             "answer every DNS question from this zone file; @SERVER asks there")
#define CLI_NOW(target)                                                                            \
    CLI_NUMBER("now", target, "UNIX", "pretend that it is this time (seconds since 1970)")

struct cli_usage {
    const char *operands; /* "FILE...", or "" */
    const char *summary;  /* one sentence, no capital, no full stop */
    const char *more;     /* paragraphs shown below the options; NULL for none */
};

/* Reads the options (anywhere among the operands; "--name value" or "--name=value"; "--" ends them)
 * and moves the operands to argv[0..]; returns how many there are. --help prints and exits with 0;
 * anything wrong says so and exits with CLI_USAGE. */
int cli_parse(const struct cli_usage *usage, const struct cli_option *options, size_t count,
              int argc, char **argv);

/* "waybill COMMAND: text" on standard error, then exit with CLI_USAGE. */
_Noreturn void cli_die(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The same sentence, without the exit. */
void cli_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Seconds since 1970: `now` if it was given (not negative), else the clock. */
int64_t cli_now(int64_t now);

/* --- input --- */

#define CLI_FILE_MAX ((size_t)4 << 30) /* a ceiling where a command has no better one */

struct cli_file {
    struct slice data;
    void *mapped;    /* inside: the mapping, or NULL */
    struct buf held; /* inside: the bytes, when they were read */
};
/* A whole file, or standard input for "-": mapped when it is a large regular file, else read. At
 * most `max` bytes. ERR_SYSTEM, ERR_LIMIT. */
MUST_USE int cli_file_open(const char *path, size_t max, struct cli_file *file_out, struct err *e);
void cli_file_close(struct cli_file *file);
/* The same, and cli_die() when it cannot be read. */
struct cli_file cli_file_need(const char *path, size_t max);

/* --- output --- */

enum cli_style {
    CLI_PLAIN, /* ends every style */
    CLI_BOLD,
    CLI_DIM,
    CLI_RED,
    CLI_GREEN,
    CLI_YELLOW,
    CLI_BLUE,
    CLI_STYLES,
};
/* The escape sequence for a style; "" when standard output is no terminal, NO_COLOR is set, or TERM
 * is dumb. */
const char *cli_style(enum cli_style style);
/* Columns of the terminal; 100 when standard output is none. */
unsigned cli_width(void);

/* Writes everything to standard output and empties `out`; dies when it cannot (a closed pipe ends
 * the program quietly). Dies too when `out` is full: the answer would be cut. */
void cli_write(struct buf *out);

/* Text that came from outside: control characters (escape sequences!) become '?', bad UTF-8 U+FFFD.
 */
void cli_append_safe(struct buf *out, struct slice text);
/* Such text, broken between words; the cursor stands in column `indent`, where further lines begin.
 * Without the newline at the end. */
void cli_append_paragraph(struct buf *out, struct slice text, unsigned indent);

/* --- the table of commands --- */

struct cli_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
/* Runs argv[1] with argv + 1; called by main(). */
int cli_run(int argc, char **argv);

#endif
