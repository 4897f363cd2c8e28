#include "app/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

#define MAP_FROM_BYTES (1u << 20) /* smaller files are read: cheaper than a mapping */
#define READ_BYTES 65536
#define NAME_WIDTH_MAX 30
#define PARAGRAPH_MAX 110 /* columns: longer lines are hard to read */

/* The one process (STYLE rule 9): its command's name, and what standard output is. */
static struct process {
    const char *command;
    bool colour, colour_known;
} process;

__attribute__((format(printf, 1, 0))) static void say(const char *fmt, va_list args)
{
    (void)fprintf(stderr, "waybill%s%s: ", process.command != NULL ? " " : "",
                  process.command != NULL ? process.command : "");
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
}

void cli_die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    exit(CLI_USAGE);
}

void cli_warn(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
}

int64_t cli_now(int64_t now)
{
    return now >= 0 ? now : (int64_t)time(NULL);
}

/* --- options --- */

static void help_option(struct buf *out, const char *name, const char *placeholder,
                        const char *sentence)
{
    char left[NAME_WIDTH_MAX + 1];

    (void)snprintf(left, sizeof left, "%s%s%s%s", name[1] == '\0' ? "-" : "--", name,
                   placeholder != NULL ? " " : "", placeholder != NULL ? placeholder : "");
    buf_printf(out, "  %-20s %s\n", left, sentence);
}

_Noreturn static void help(const struct cli_usage *usage, const struct cli_option *options,
                           size_t count)
{
    struct buf out;

    buf_init(&out, 65536);
    buf_printf(&out, "usage: waybill %s [options]%s%s\n\n%s\n\n", process.command,
               usage->operands[0] != '\0' ? " " : "", usage->operands, usage->summary);
    for (size_t i = 0; i < count; i++)
        help_option(&out, options[i].name, options[i].placeholder, options[i].sentence);
    help_option(&out, "help", NULL, "show this");
    if (usage->more != NULL)
        buf_printf(&out, "\n%s\n", usage->more);
    cli_write(&out);
    buf_finish(&out);
    exit(CLI_GOOD);
}

static const struct cli_option *find_option(const struct cli_option *options, size_t count,
                                            struct slice name, bool is_long)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq(slice_of(options[i].name), name) && (name.n > 1) == is_long)
            return &options[i];
    return NULL;
}

static void set_number(const struct cli_option *o, const char *text)
{
    struct slice digits = slice_of(text);
    bool negative = digits.n > 0 && digits.p[0] == '-';
    uint64_t value;

    if (!slice_to_u64(slice_from(digits, negative), &value) || value > INT64_MAX)
        cli_die("--%s needs a number, not \"%s\"", o->name, text);
    *(int64_t *)o->value = negative ? -(int64_t)value : (int64_t)value;
}

static void set_option(const struct cli_option *o, const char *text)
{
    struct cli_list *list = o->value;

    switch (o->kind) {
    case CLI_KIND_FLAG:
        *(bool *)o->value = true;
        break;
    case CLI_KIND_TEXT:
        *(const char **)o->value = text;
        break;
    case CLI_KIND_NUMBER:
        set_number(o, text);
        break;
    case CLI_KIND_LIST:
        if (list->count == CLI_LIST_MAX)
            cli_die("--%s: at most %d times", o->name, CLI_LIST_MAX);
        list->items[list->count++] = text;
        break;
    }
}

/* Handles the option argv[*at]; steps *at over its value. */
static void take_option(const struct cli_usage *usage, const struct cli_option *options,
                        size_t count, int argc, char **argv, int *at)
{
    const char *arg = argv[*at];
    bool is_long = arg[1] == '-';
    struct slice rest = slice_of(arg + 1 + is_long);
    struct slice name = slice_cut(&rest, '=');
    bool has_value = strchr(arg, '=') != NULL;

    const struct cli_option *o = find_option(options, count, name, is_long);
    if (o == NULL && (slice_eq(name, SLICE("help")) || (!is_long && slice_eq(name, SLICE("h")))))
        help(usage, options, count);
    if (o == NULL)
        cli_die("no option \"%s\"; see `waybill %s --help`", arg, process.command);
    if (o->kind == CLI_KIND_FLAG) {
        if (has_value)
            cli_die("--%s takes no value", o->name);
        set_option(o, NULL);
        return;
    }
    if (!has_value && *at + 1 >= argc)
        cli_die("--%s needs a value: %s", o->name, o->placeholder);
    set_option(o, has_value ? rest.p : argv[++*at]);
}

int cli_parse(const struct cli_usage *usage, const struct cli_option *options, size_t count,
              int argc, char **argv)
{
    int operands = 0;
    bool options_end = false;

    for (int i = 1; i < argc; i++) {
        if (!options_end && slice_eq(slice_of(argv[i]), SLICE("--")))
            options_end = true;
        else if (!options_end && argv[i][0] == '-' && argv[i][1] != '\0')
            take_option(usage, options, count, argc, argv, &i);
        else
            argv[operands++] = argv[i];
    }
    return operands;
}

/* --- input --- */

static int read_all(int fd, const char *path, size_t max, struct cli_file *file, struct err *e)
{
    for (;;) {
        char *room = buf_room(&file->held, READ_BYTES);
        if (room == NULL)
            return err_set(e, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
        ssize_t got = read(fd, room, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_system(e, errno, "%s", path);
        if (got == 0)
            break;
        buf_claim(&file->held, (size_t)got);
        if (file->held.n > max)
            return err_set(e, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
    }
    file->data = buf_slice(&file->held);
    return 0;
}

int cli_file_open(const char *path, size_t max, struct cli_file *file_out, struct err *e)
{
    bool is_stdin = slice_eq(slice_of(path), SLICE("-"));
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int result = -1;

    *file_out = (struct cli_file){0};
    buf_init(&file_out->held, max + READ_BYTES);
    if (fd < 0)
        return err_system(e, errno, "%s", path);
    if (fstat(fd, &st) != 0) {
        err_system(e, errno, "%s", path);
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        err_set(e, ERR_FOUND, "%s is a directory", path);
        goto out;
    }
    size_t size = st.st_size > 0 ? (size_t)st.st_size : 0;
    if (S_ISREG(st.st_mode) && size > max) {
        err_set(e, ERR_LIMIT, "%s: %zu bytes, more than %zu", path, size, max);
        goto out;
    }
    if (!S_ISREG(st.st_mode) || size < MAP_FROM_BYTES) {
        result = read_all(fd, path, max, file_out, e);
        goto out;
    }
    void *mapped = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED) {
        err_system(e, errno, "%s", path);
        goto out;
    }
    file_out->mapped = mapped;
    file_out->data = (struct slice){mapped, size};
    result = 0;
out:
    if (!is_stdin)
        (void)close(fd);
    if (result != 0)
        cli_file_close(file_out);
    return result;
}

void cli_file_close(struct cli_file *file)
{
    if (file->mapped != NULL)
        (void)munmap(file->mapped, file->data.n);
    buf_finish(&file->held);
    *file = (struct cli_file){0};
}

struct cli_file cli_file_need(const char *path, size_t max)
{
    struct cli_file file;
    struct err e = {0};

    if (cli_file_open(path, max, &file, &e) != 0)
        cli_die("%s", e.text);
    return file;
}

/* --- output --- */

const char *cli_style(enum cli_style style)
{
    static const char *const sequences[CLI_STYLES] = {
        [CLI_PLAIN] = "\x1b[0m", [CLI_BOLD] = "\x1b[1m",   [CLI_DIM] = "\x1b[2m",
        [CLI_RED] = "\x1b[31m",  [CLI_GREEN] = "\x1b[32m", [CLI_YELLOW] = "\x1b[33m",
        [CLI_BLUE] = "\x1b[34m",
    };

    if (!process.colour_known) {
        const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
        process.colour = isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0') &&
                         term != NULL && !slice_eq(slice_of(term), SLICE("dumb"));
        process.colour_known = true;
    }
    return process.colour ? sequences[style] : "";
}

unsigned cli_width(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40)
        return 100;
    return size.ws_col;
}

void cli_write(struct buf *out)
{
    struct slice rest = buf_slice(out);

    while (rest.n > 0) {
        ssize_t done = write(STDOUT_FILENO, rest.p, rest.n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EPIPE)
            exit(CLI_GOOD);
        if (done < 0)
            cli_die("standard output: %s", strerror(errno));
        rest = slice_from(rest, (size_t)done);
    }
    if (out->full)
        cli_die("the answer is larger than %zu bytes and was cut", out->max);
    buf_clear(out);
}

void cli_append_safe(struct buf *out, struct slice text)
{
    while (text.n > 0) {
        size_t used;
        uint32_t c = utf8_decode(text, &used);
        bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        utf8_append(out, control ? (c == '\t' ? ' ' : '?') : c);
        text = slice_from(text, used);
    }
}

void cli_append_paragraph(struct buf *out, struct slice text, unsigned indent)
{
    unsigned terminal = cli_width() > PARAGRAPH_MAX ? PARAGRAPH_MAX : cli_width();
    size_t width = terminal > indent ? terminal - indent : 1, column = 0;

    while (text.n > 0) {
        struct slice word = slice_cut(&text, ' ');
        size_t length = utf8_length(word);

        if (column > 0 && column + 1 + length > width) {
            buf_printf(out, "\n%*s", (int)indent, ""); /* less than a terminal's width */
            column = 0;
        } else if (column > 0) {
            buf_append_char(out, ' ');
            column++;
        }
        cli_append_safe(out, word);
        column += length;
    }
}

/* --- the table of commands --- */

#define NAME_MAX_BYTES 32

/* Edit distance (Levenshtein), for "did you mean". */
static size_t distance(struct slice a, struct slice b)
{
    size_t row[NAME_MAX_BYTES + 1];

    if (a.n > NAME_MAX_BYTES || b.n > NAME_MAX_BYTES)
        return NAME_MAX_BYTES;
    for (size_t k = 0; k <= b.n; k++)
        row[k] = k;
    for (size_t i = 0; i < a.n; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < b.n; k++) {
            size_t change = corner + (a.p[i] != b.p[k]);
            size_t best = row[k] < row[k + 1] ? row[k] : row[k + 1];
            corner = row[k + 1];
            row[k + 1] = best + 1 < change ? best + 1 : change;
        }
    }
    return row[b.n];
}

static int unknown_command(const char *name)
{
    const char *best = NULL;
    size_t least = 3; /* further away is no typing error */

    for (size_t i = 0; i < cli_command_count; i++) {
        size_t d = distance(slice_of(name), slice_of(cli_commands[i].name));
        if (d < least) {
            least = d;
            best = cli_commands[i].name;
        }
    }
    process.command = NULL;
    if (best != NULL)
        cli_warn("no command \"%s\"; did you mean `waybill %s`?", name, best);
    else
        cli_warn("no command \"%s\"; `waybill help` lists them", name);
    return CLI_USAGE;
}

int cli_run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    bool wants_help = argc > 1 && (slice_eq(slice_of(name), SLICE("--help")) ||
                                   slice_eq(slice_of(name), SLICE("-h")));

    (void)signal(SIGPIPE, SIG_IGN);
    if (wants_help)
        name = "help";
    if (slice_eq(slice_of(name), SLICE("--version")))
        name = "version";
    for (size_t i = 0; i < cli_command_count; i++) {
        if (!slice_eq(slice_of(name), slice_of(cli_commands[i].name)))
            continue;
        process.command = cli_commands[i].name;
        if (argc > 1 && !wants_help)
            return cli_commands[i].run(argc - 1, argv + 1);
        return cli_commands[i].run(1, argv);
    }
    return unknown_command(name);
}
