#include "app/doctor_text.h"

#include "app/daemon.h"
#include "lib/message/date.h"

#define FINDING_INDENT 9

static enum cli_style style_of(enum doctor_severity s)
{
    switch (s) {
    case DOCTOR_GOOD:
        return CLI_GREEN;
    case DOCTOR_HINT:
        return CLI_BLUE;
    case DOCTOR_WARNING:
        return CLI_YELLOW;
    case DOCTOR_ERROR:
        return CLI_RED;
    }
    return CLI_PLAIN;
}

bool doctor_text_is_well(const struct doctor_finding *first)
{
    for (const struct doctor_finding *f = first; f; f = f->next)
        if (f->severity >= DOCTOR_WARNING)
            return false;
    return true;
}

/* --- JSON --- */

static void json_finding(struct json *j, const struct doctor_finding *f)
{
    json_object(j);
    /* Programs know three severities; a hint is nothing to act upon. */
    json_member_string(
        j, "severity",
        doctor_severity_name(f->severity == DOCTOR_HINT ? DOCTOR_GOOD : f->severity));
    json_member_string(j, "rule", f->rule);
    json_member_text(j, "name", f->name);
    json_member_text(j, "text", f->text);
    json_member_text(j, "publish", f->publish);
    json_member_bool(j, "hint", f->severity == DOCTOR_HINT);
    json_member_bool(j, "temporary", f->temporary);
    if (f->domain.n > 0) {
        json_member_text(j, "domain", f->domain);
        json_member_int(j, "since_ms", f->since_ms);
    }
    json_end(j);
}

static void json_address(struct json *j, const struct doctor_address *a)
{
    char ip[IP_TEXT_MAX];

    (void)ip_address_format(&a->ip, ip);
    json_object(j);
    json_member_string(j, "address", ip);
    json_member_string(j, "class", doctor_class_name(doctor_class_of(&a->ip)));
    json_member_string(j, "from", doctor_origin_name(a->origin));
    json_member_text(j, "domain", a->domain);
    json_member_text(j, "via", a->via);
    json_member_int(j, "first_ms", a->first_ms);
    json_member_int(j, "last_ms", a->last_ms);
    json_member_int(j, "messages", (int64_t)a->messages);
    json_end(j);
}

void doctor_text_json(struct json *j, const struct doctor_subject *subject,
                      const struct doctor_finding *first)
{
    json_member_text(j, "return_path", subject->return_path);
    json_member_text(j, "hostname", subject->hostname);
    json_key(j, "addresses");
    json_array(j);
    for (size_t i = 0; i < subject->address_count; i++)
        json_address(j, &subject->addresses[i]);
    json_end(j);
    json_key(j, "findings");
    json_array(j);
    for (const struct doctor_finding *f = first; f; f = f->next)
        json_finding(j, f);
    json_end(j);
}

void doctor_text_json_recalled(const struct doctor_recall *list, size_t n, struct buf *out)
{
    int64_t oldest_ms = list[0].time_ms;
    struct json j;

    for (size_t i = 1; i < n; i++)
        if (list[i].time_ms < oldest_ms)
            oldest_ms = list[i].time_ms;
    json_begin(&j, out);
    json_object(&j);
    json_member_text(&j, "domain", n == 1 ? list[0].domain : (struct slice){0});
    json_member_int(&j, "time_ms", oldest_ms);
    json_key(&j, "findings");
    json_array(&j);
    for (size_t i = 0; i < n; i++)
        for (const struct doctor_finding *f = list[i].first; f; f = f->next)
            json_finding(&j, f);
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
}

/* --- text --- */

static void append_origin(const struct doctor_address *a, struct buf *out)
{
    switch (a->origin) {
    case DOCTOR_FROM_OPTION:
        buf_append_text(out, "from --ip");
        return;
    case DOCTOR_FROM_PUBLIC:
        buf_append_text(out, "from the settings: public_addresses");
        return;
    case DOCTOR_FROM_SETTING:
        buf_append_text(out, "from the settings: source_address");
        return;
    case DOCTOR_FROM_HOST:
        buf_append_text(out, "a guess: where our name leads");
        return;
    case DOCTOR_FROM_LEDGER:
        break;
    }
    buf_append_text(out, "from the ledger: used until ");
    date_format_short(a->last_ms / 1000, out);
    buf_printf(out, ", %llu message%s", (unsigned long long)a->messages,
               a->messages == 1 ? "" : "s");
    if (slice_eq(a->domain, SLICE("*"))) {
        buf_append_text(out, " of other domains");
    } else if (a->domain.n > 0) {
        buf_append_text(out, " of ");
        cli_append_safe(out, a->domain);
    }
    if (a->via.n > 0) {
        buf_append_text(out, ", handed to ");
        cli_append_safe(out, a->via);
    }
}

static void append_facts(const struct doctor_subject *s, struct buf *out)
{
    for (size_t i = 0; i < s->address_count; i++) {
        const struct doctor_address *a = &s->addresses[i];
        enum doctor_class class = doctor_class_of(&a->ip);
        char ip[IP_TEXT_MAX];

        (void)ip_address_format(&a->ip, ip);
        buf_printf(out, "%saddress%s  %s%s%s\n         ", cli_style(CLI_BOLD), cli_style(CLI_PLAIN),
                   ip, class == DOCTOR_IS_PUBLIC ? "" : ", ",
                   class == DOCTOR_IS_PUBLIC ? "" : doctor_class_name(class));
        append_origin(a, out);
        buf_append_char(out, '\n');
    }
}

static void append_findings(const struct doctor_finding *first, struct buf *out)
{
    for (const struct doctor_finding *f = first; f; f = f->next) {
        buf_printf(out, "%s%-7s%s  ", cli_style(style_of(f->severity)),
                   doctor_severity_name(f->severity), cli_style(CLI_PLAIN));
        cli_append_safe(out, f->name);
        if (f->since_ms > 0 && f->severity >= DOCTOR_WARNING) {
            buf_append_text(out, ", since ");
            date_format_short(f->since_ms / 1000, out);
        }
        buf_printf(out, "\n%*s", FINDING_INDENT, "");
        cli_append_paragraph(out, f->text, FINDING_INDENT);
        buf_append_char(out, '\n');
    }
}

struct tally {
    size_t errors, warnings, records;
};

static void append_records(const struct doctor_finding *first, struct tally *t, struct buf *out)
{
    for (const struct doctor_finding *f = first; f; f = f->next) {
        t->errors += f->severity == DOCTOR_ERROR;
        t->warnings += f->severity == DOCTOR_WARNING;
        if (f->publish.n == 0)
            continue;
        if (t->records++ == 0)
            buf_append_text(
                out, "\nPublish, each in place of the record of its kind under its name:\n\n");
        cli_append_safe(out, f->publish);
        buf_append_char(out, '\n');
    }
}

static void append_advice(const struct tally *t, struct buf *out)
{
    if (t->errors + t->warnings > 0)
        buf_printf(out,
                   "\n%zu to mend, %zu to look at. A changed record can be tried first: "
                   "`waybill doctor --dns FILE`.\n",
                   t->errors, t->warnings);
}

void doctor_text_append_recalled(const struct doctor_recall *list, size_t n, struct buf *out)
{
    struct tally t = {0};

    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s%s", i > 0 ? "\n" : "", cli_style(CLI_BOLD));
        cli_append_safe(out, list[i].domain);
        buf_printf(out, "%s, as it was ", cli_style(CLI_PLAIN));
        date_format_short(list[i].time_ms / 1000, out);
        buf_append_text(out, " UTC\n");
        append_findings(list[i].first, out);
    }
    for (size_t i = 0; i < n; i++)
        append_records(list[i].first, &t, out);
    append_advice(&t, out);
}

void doctor_text_append(const struct doctor_subject *subject, const struct doctor_finding *first,
                        struct buf *out)
{
    struct tally t = {0};

    append_facts(subject, out);
    append_findings(first, out);
    append_records(first, &t, out);
    append_advice(&t, out);
    if (doctor_text_is_well(first))
        buf_printf(out, "\nDNS says what this server does for %.*s. Nothing to do.\n",
                   SLICE_ARG(subject->domain));
}
