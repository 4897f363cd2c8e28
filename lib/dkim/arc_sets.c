#include "lib/dkim/arc_in.h"
#include "lib/dkim/tags_in.h"

#include "base/ascii.h"

static const struct slice part_names[ARC_PARTS] = {
    [ARC_RESULTS] = SLICE_INIT("ARC-Authentication-Results"),
    [ARC_MESSAGE] = SLICE_INIT("ARC-Message-Signature"),
    [ARC_SEAL] = SLICE_INIT("ARC-Seal"),
};

const char *arc_result_name(enum arc_result result)
{
    switch (result) {
    case ARC_NONE:
        return "none";
    case ARC_PASS:
        return "pass";
    case ARC_FAIL:
        return "fail";
    }
    return "?";
}

/* "i" "=" number ";" stands first in ARC-Authentication-Results (RFC 8617 4.1.1); what follows is
 * no tag list. In the other two i= may stand anywhere. */
static struct slice instance_text(enum arc_part part, struct slice value, struct dkim_tags *tags)
{
    const struct dkim_tag *i;
    struct slice first, rest;
    struct err ignored;

    if (part != ARC_RESULTS) {
        i = dkim_tags_read(value, tags, &ignored) == 0 ? dkim_tags_find(tags, "i") : NULL;
        return i != NULL ? i->value : SLICE("");
    }
    rest = value;
    first = slice_cut(&rest, ';');
    if (first.n == value.n) /* nothing follows */
        return SLICE("");
    rest = first;
    return slice_eq(dkim_trim(slice_cut(&rest, '=')), SLICE("i")) ? dkim_trim(rest) : SLICE("");
}

static int add_field(const struct dkim_field *field, enum arc_part part, struct arc_sets *sets,
                     struct err *err)
{
    struct dkim_tags tags;
    struct slice text = instance_text(part, dkim_field_value(field), &tags);
    const struct dkim_field **place;
    uint64_t i;

    if (!dkim_number_read(text, &i) || i == 0 || i > ARC_SETS_MAX)
        return err_set(err, ERR_SYNTAX, "an %.*s field has no readable i= from 1 to %d",
                       SLICE_ARG(part_names[part]), ARC_SETS_MAX);
    place = &sets->part[i][part];
    if (*place != NULL)
        return err_set(err, ERR_SYNTAX, "there are two %.*s fields with i=%u",
                       SLICE_ARG(part_names[part]), (unsigned)i);
    *place = field;
    if (i > sets->highest)
        sets->highest = (unsigned)i; /* at most 50 */
    return 0;
}

int arc_sets_read(const struct dkim_fields *fields, struct arc_sets *sets_out, struct err *err)
{
    int result = 0;

    *sets_out = (struct arc_sets){0};
    for (size_t n = 0; n < fields->count; n++) {
        for (unsigned part = 0; part < ARC_PARTS; part++) {
            struct err first;

            if (!slice_eq_nocase(fields->list[n].name, part_names[part]))
                continue;
            if (add_field(&fields->list[n], (enum arc_part)part, sets_out,
                          result == 0 ? err : &first) != 0)
                result = -1;
        }
    }
    for (unsigned i = 1; i <= sets_out->highest && result == 0; i++) {
        for (unsigned part = 0; part < ARC_PARTS && result == 0; part++) {
            if (sets_out->part[i][part] == NULL)
                result = err_set(err, ERR_SYNTAX, "the %.*s field with i=%u is missing",
                                 SLICE_ARG(part_names[part]), i);
        }
    }
    return result;
}
