#include "mta/deliver/deliver_in.h"

#include <assert.h>

struct smtp_verdict deliver_verdict(const struct deliver_report *r, size_t recipient)
{
    return r->talk != NULL ? smtp_client_verdict(r->talk, recipient) : r->all;
}

struct destination *destination_create(const struct deliver_settings *settings,
                                       const struct deliver_ports *ports, void *owner)
{
    struct destination *d = mem_alloc(sizeof *d);

    d->settings = *settings;
    d->ports = ports;
    d->owner = owner;
    list_init(&d->jobs);
    list_init(&d->sessions);
    return d;
}

void destination_destroy(struct destination **d)
{
    struct list *link;

    if (*d == NULL)
        return;
    while ((link = list_take_first(&(*d)->sessions)) != NULL) {
        struct session *s = CONTAINER_OF(link, struct session, link);

        session_destroy(&s);
    }
    free(*d);
    *d = NULL;
}

void *destination_owner(const struct destination *d)
{
    return d->owner;
}

bool destination_is_idle(const struct destination *d)
{
    return d->job_n == 0 && list_is_empty(&d->sessions) && !d->resolving;
}

size_t destination_sessions(const struct destination *d)
{
    return d->session_n;
}

struct deliver_job *destination_next_job(struct destination *d)
{
    struct list *link = d->stopping ? NULL : list_take_first(&d->jobs);

    if (link == NULL)
        return NULL;
    d->job_n--;
    return CONTAINER_OF(link, struct deliver_job, link);
}

void destination_put_back(struct destination *d, struct deliver_job *job)
{
    list_prepend(&d->jobs, &job->link);
    d->job_n++;
}

void destination_end_job(struct destination *d, struct session *s, struct deliver_job *job,
                         const struct deliver_report *report)
{
    struct deliver_report full = *report;

    full.session = s;
    if (s != NULL) {
        const struct host_address *host = session_host(s);

        full.host = slice_of(host->name);
        ip_address_format(&host->address, full.ip);
    }
    d->ports->report(d->ports->ctx, job, &full);
}

/* All jobs that wait share one fate: the site could not be found or reached. */
static void fail_waiting(struct destination *d, enum smtp_outcome outcome, unsigned code,
                         struct slice enhanced, const char *why, bool site_down)
{
    struct deliver_report report = {.state = "looking for a host", .site_down = site_down};
    struct list *link;

    report.all.outcome = outcome;
    report.all.phase = SMTP_PHASE_CONNECT;
    report.all.response = (struct smtp_response){code, enhanced, slice_of(why)};
    while ((link = list_take_first(&d->jobs)) != NULL) {
        d->job_n--;
        destination_end_job(d, NULL, CONTAINER_OF(link, struct deliver_job, link), &report);
    }
}

void destination_resolved(struct destination *d, const struct hosts *found)
{
    d->resolving = false;
    switch (hosts_verdict(found)) {
    case HOSTS_FOUND:
        d->host_n = hosts_count(found);
        d->good_host = 0;
        for (size_t i = 0; i < d->host_n; i++)
            d->hosts[i] = *hosts_at(found, i);
        destination_run(d);
        return;
    case HOSTS_LATER:
        fail_waiting(d, SMTP_DEFERRED, 0, SLICE("4.4.3"), hosts_reason(found), true);
        return;
    case HOSTS_NO_MAIL:
        fail_waiting(d, SMTP_REFUSED, 556, SLICE("5.1.10"), hosts_reason(found), false);
        return;
    case HOSTS_UNKNOWN:
        fail_waiting(d, SMTP_REFUSED, 0, SLICE("5.1.2"), hosts_reason(found), false);
        return;
    case HOSTS_LOOP:
        fail_waiting(d, SMTP_REFUSED, 0, SLICE("5.4.6"), hosts_reason(found), false);
        return;
    }
}

void destination_forget_hosts(struct destination *d)
{
    d->host_n = 0;
}

void destination_session_ready(struct destination *d, struct session *s)
{
    d->good_host = s->host;
}

void destination_session_failed(struct destination *d, struct session *s, const char *why)
{
    (void)snprintf(d->trouble, sizeof d->trouble, "%s", why);
    destination_session_over(d, s);
    if (d->session_n > 0)
        return; /* others talk, or still try: the jobs wait for them */
    d->good_host = 0;
    fail_waiting(d, SMTP_DEFERRED, 0, SLICE("4.4.1"), d->trouble, true);
}

void destination_session_over(struct destination *d, struct session *s)
{
    assert(d->session_n > 0);
    d->session_n--;
    s->state = SESSION_OVER; /* swept by destination_run(), never under its own feet */
}

static void sweep(struct destination *d)
{
    LIST_EACH(&d->sessions, link)
    {
        struct session *s = CONTAINER_OF(link, struct session, link);

        if (s->state == SESSION_OVER)
            session_destroy(&s);
    }
}

static struct session *find_idle(struct destination *d)
{
    LIST_EACH(&d->sessions, link)
    {
        struct session *s = CONTAINER_OF(link, struct session, link);

        if (s->state == SESSION_IDLE)
            return s;
    }
    return NULL;
}

static size_t count_opening(const struct destination *d)
{
    size_t n = 0;

    for (const struct list *link = d->sessions.next; link != &d->sessions; link = link->next) {
        const struct session *s = CONTAINER_OF(link, struct session, link);

        n += s->state != SESSION_OVER && !s->was_ready;
    }
    return n;
}

static bool may_open(const struct destination *d)
{
    if (d->session_n == 0)
        return true;
    return d->session_n < d->settings.connections_max &&
           (d->ports->may_connect == NULL || d->ports->may_connect(d->ports->ctx));
}

/* Gives waiting jobs to idle sessions, then opens as many as there are jobs without one. */
void destination_run(struct destination *d)
{
    struct session *s;

    if (d->running)
        return; /* a session that ends inside this loop must not start another one */
    d->running = true;
    while (d->job_n > 0 && !d->stopping && (s = find_idle(d)) != NULL)
        session_take_job(s, destination_next_job(d));
    if (d->job_n > 0 && d->host_n == 0 && !d->resolving && !d->stopping) {
        d->resolving = true;
        d->ports->resolve(d->ports->ctx, d);
    }
    if (d->job_n > 0 && d->host_n > 0 && !d->stopping) {
        size_t opening = count_opening(d);

        while (opening < d->job_n && may_open(d)) {
            (void)session_open(d);
            opening++;
        }
    }
    d->running = false;
    sweep(d);
}

void deliver_add(struct destination *d, struct deliver_job *job)
{
    list_append(&d->jobs, &job->link);
    d->job_n++;
    destination_run(d);
}

void destination_stop(struct destination *d, const char *why)
{
    d->stopping = true;
    fail_waiting(d, SMTP_DEFERRED, 0, SLICE("4.3.2"), why, false);
    d->running = true; /* nothing is swept while we walk */
    LIST_EACH(&d->sessions, link)
    {
        struct session *s = CONTAINER_OF(link, struct session, link);

        if (s->state == SESSION_IDLE || (s->state != SESSION_OVER && s->job == NULL))
            session_quit(s);
    }
    d->running = false;
    sweep(d);
}
