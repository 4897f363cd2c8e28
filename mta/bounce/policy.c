#include "mta/bounce/policy.h"

void bounce_policy_init(struct bounce_policy *p)
{
    for (size_t i = 0; i < BOUNCE_CATEGORIES; i++)
        p->by_category[i] = bounce_meaning((enum bounce_category)i)->suppress; /* its own index */
}

bool bounce_is_ours(enum bounce_category category)
{
    return bounce_meaning(category)->suppress.count == 0;
}

bool bounce_is_global(enum bounce_category category)
{
    static const enum bounce_category in_stream[] = {
        BOUNCE_RECIPIENT_REFUSED,  BOUNCE_UNDETERMINED,         BOUNCE_PROVIDER_SUPPRESSED,
        BOUNCE_CATEGORY_COMPLAINT, BOUNCE_CATEGORY_UNSUBSCRIBE,
    };

    for (size_t i = 0; i < sizeof in_stream / sizeof *in_stream; i++)
        if (category == in_stream[i])
            return false;
    return true;
}

/* "5/14d" */
static bool read_threshold(struct slice text, struct bounce_threshold *out)
{
    struct slice days = text, count = slice_cut(&days, '/');
    uint64_t n, d;

    if (!slice_to_u64(count, &n) || n == 0 || n > 1000 || days.n < 2 || days.p[days.n - 1] != 'd' ||
        !slice_to_u64(slice_sub(days, 0, days.n - 1), &d) || d == 0 || d > 3650)
        return false;
    *out = (struct bounce_threshold){(unsigned)n, (unsigned)d, "set"}; /* both are small */
    return true;
}

int bounce_policy_set(struct bounce_policy *p, struct slice text, struct err *e)
{
    struct slice value = slice_trim(text), name = slice_cut(&value, ' ');
    struct bounce_threshold t = {0, 0, "never"};
    enum bounce_category category;

    value = slice_trim(value);
    if (!bounce_category_find(name, &category) || category == BOUNCE_CATEGORY_NONE)
        return err_set(e, ERR_SYNTAX, "suppress: there is no category named \"%.*s\"",
                       SLICE_ARG(slice_sub(name, 0, 60)));
    if (slice_eq(value, SLICE("at_once")))
        t = (struct bounce_threshold){1, 1, "at_once"};
    else if (!slice_eq(value, SLICE("never")) && !read_threshold(value, &t))
        return err_set(e, ERR_SYNTAX, "suppress: \"%.*s\" is neither never, at_once, nor as 5/14d",
                       SLICE_ARG(slice_sub(value, 0, 60)));
    if (t.count > 0 && bounce_is_ours(category))
        return err_set(e, ERR_SYNTAX,
                       "suppress: %.*s says nothing about the address; it can only be never",
                       SLICE_ARG(name));
    p->by_category[category] = t;
    return 0;
}

struct bounce_threshold bounce_policy_of(const struct bounce_policy *p,
                                         const struct bounce_verdict *verdict)
{
    struct bounce_threshold t = p->by_category[verdict->category];
    struct bounce_threshold usual = bounce_meaning(verdict->category)->suppress;
    struct bounce_threshold asked = verdict->suppress;

    if (asked.count == 0 || bounce_is_ours(verdict->category))
        return (struct bounce_threshold){0, 0, "never"};
    if ((asked.count != usual.count || asked.days != usual.days) && asked.count > t.count &&
        t.count > 0)
        return asked;
    return t;
}
