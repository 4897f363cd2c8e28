/* Run by the build: compiles the shipped rules and the phrases, and writes the databases as C. */
#include <assert.h>
#include <hs/hs.h>

#include "lib/bounce/phrases_in.h"
#include "lib/bounce/rules_in.h"
#include "lib/bounce/shipped_in.h"

#define BYTES_A_LINE 32

static void write_database(FILE *out, const char *name, const hs_database_t *database)
{
    char *bytes = NULL;
    size_t n = 0;

    if (database == NULL || hs_serialize_database(database, &bytes, &n) != HS_SUCCESS) {
        fprintf(stderr, "pack: %s cannot be serialized\n", name);
        exit(1);
    }
    fprintf(out, "static const char %s_bytes[] =", name);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s\\%03o%s", i % BYTES_A_LINE == 0 ? "\n\"" : "", (unsigned char)bytes[i],
                i % BYTES_A_LINE == BYTES_A_LINE - 1 || i + 1 == n ? "\"" : "");
    fprintf(out, ";\n");
    free(bytes);
}

int main(int argc, char **argv)
{
    struct bounce_rules *rules = bounce_rules_create();
    struct phrases *phrases = phrases_create();
    struct err e;
    static_assert(RULE_STAGES == 2, "two databases are written below");
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;

    if (out == NULL || bounce_rules_add_shipped(rules, &e) < 0 ||
        bounce_rules_compile(rules, &e) < 0) {
        fprintf(stderr, "pack: %s\n", out == NULL ? "one output file, please" : e.text);
        return 1;
    }
    fprintf(out, "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n"
                 "#include \"lib/bounce/shipped_in.h\"\n");
    write_database(out, "first", rules->shipped[0].database);
    write_database(out, "second", rules->shipped[1].database);
    write_database(out, "phrases", phrases_database(phrases));
    fprintf(out,
            "const struct slice bounce_packed_rules[] = {{first_bytes, sizeof first_bytes - 1},"
            "{second_bytes, sizeof second_bytes - 1}};\n"
            "const struct slice bounce_packed_phrases = {phrases_bytes, "
            "sizeof phrases_bytes - 1};\n");
    phrases_destroy(&phrases);
    bounce_rules_destroy(&rules);
    return fclose(out) == 0 ? 0 : 1;
}
