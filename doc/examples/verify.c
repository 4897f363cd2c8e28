/* Verifies a message with libwaybill and a DNS function of its own.
 *
 *     cc verify.c $(pkg-config --cflags --libs waybill) -o verify
 *     ./verify message.eml 192.0.2.1 sender@example.com records.txt
 *
 * Records come from a text file of lines "NAME TXT-DATA". Where DNS is real, res_nquery(3) and
 * waybill_verifier_answer_wire() take the place of find(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <waybill/verify.h>

static char message[1 << 20], records[1 << 16];

static size_t load(const char *path, char *to, size_t size)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(to, 1, size - 1, f) : 0;

    if (!f) {
        perror(path);
        exit(2);
    }
    fclose(f);
    return n;
}

/* The DNS of this program: the first line of `records` that begins with the name. */
static void find(struct waybill_verifier *v, const struct waybill_dns_question *q)
{
    struct waybill_dns_record record = {0};
    struct waybill_dns_answer answer = {.status = WAYBILL_DNS_NXDOMAIN};
    size_t n = strlen(q->name);

    for (char *line = records, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        if (q->type == WAYBILL_DNS_TXT && strncasecmp(line, q->name, n) == 0 && line[n] == ' ') {
            record.data = line + n + 1;
            record.size = (size_t)(end - record.data);
            answer = (struct waybill_dns_answer){WAYBILL_DNS_OK, &record, 1};
            break;
        }
    waybill_verifier_answer(v, q->id, &answer);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return fprintf(stderr, "usage: verify MESSAGE CLIENT-IP SENDER RECORDS\n"), 2;
    size_t size = load(argv[1], message, sizeof message);
    char *body = strstr(message, "\r\n\r\n");
    size_t header = body ? (size_t)(body - message) + 4 : size;
    load(argv[4], records, sizeof records);

    struct waybill_verify_request request = {.struct_size = sizeof request,
                                             .client_ip = argv[2],
                                             .mail_from = argv[3],
                                             .receiver = "mx.example.net",
                                             .unix_time = time(NULL)};
    struct waybill_error error;
    struct waybill_verifier *v = waybill_verifier_create();
    if (waybill_verifier_begin(v, &request, message, header, &error))
        return fprintf(stderr, "%s\n", error.text), 2;
    waybill_verifier_body(v, message + header, size - header);
    waybill_verifier_finish(v);
    for (struct waybill_dns_question q; waybill_verifier_question(v, &q);)
        find(v, &q);
    const struct waybill_verify_result *r = waybill_verifier_result(v);
    printf("%.*s", (int)r->results_field.size, r->results_field.bytes);
    int status = r->dmarc == WAYBILL_PASS ? 0 : 1;
    waybill_verifier_destroy(&v);
    return status;
}
