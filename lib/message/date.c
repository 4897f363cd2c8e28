#include "lib/message/date.h"

#include "base/ascii.h"

#define TEXT_MAX 512 /* a date field is short; what lies beyond is not looked at */
#define TOKENS_MAX 24

static const char months[][4] = {"jan", "feb", "mar", "apr", "may", "jun",
                                 "jul", "aug", "sep", "oct", "nov", "dec"};
static const char days[][4] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

int64_t date_from_civil(int64_t year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                        unsigned second)
{
    /* Days from civil: years begin in March, so that the leap day is the last one. */
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t count = era * 146097 + day_of_era - 719468;

    return ((count * 24 + hour) * 60 + minute) * 60 + second;
}

struct date_civil date_to_civil(int64_t unix_s)
{
    int64_t second_of_day = ((unix_s % 86400) + 86400) % 86400;
    int64_t count = (unix_s - second_of_day) / 86400;
    int64_t z = count + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct date_civil c = {
        .year = year_of_era + era * 400 + (month >= 10),
        /* The casts: all of these are small and not negative. */
        .month = (unsigned)(month < 10 ? month + 3 : month - 9),
        .day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
        .hour = (unsigned)(second_of_day / 3600),
        .minute = (unsigned)(second_of_day / 60 % 60),
        .second = (unsigned)(second_of_day % 60),
        .weekday = (unsigned)(((count % 7) + 11) % 7),
    };

    return c;
}

/* --- reading --- */

/* What has been found so far; -1 where nothing was. */
struct reading {
    int64_t year, month, day, hour, minute, second;
    int zone_minutes;
    bool has_zone, zone_known, pm, am, broken;
};

static int64_t number_of(struct slice s)
{
    uint64_t v;

    return s.n <= 9 && slice_to_u64(s, &v) ? (int64_t)v : -1;
}

static int name_index(struct slice word, const char (*names)[4], size_t count)
{
    if (word.n < 3)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (slice_eq_nocase(slice_sub(word, 0, 3), slice_of(names[i])))
            return (int)i;
    return -1;
}

static const struct zone {
    const char *name;
    int minutes;
} zones[] = {
    {"UT", 0},     {"UTC", 0},    {"GMT", 0},    {"Z", 0},      {"EST", -300},  {"EDT", -240},
    {"CST", -360}, {"CDT", -300}, {"MST", -420}, {"MDT", -360}, {"PST", -480},  {"PDT", -420},
    {"CET", 60},   {"CEST", 120}, {"MET", 60},   {"MEST", 120}, {"MEZ", 60},    {"MESZ", 120},
    {"EET", 120},  {"EEST", 180}, {"WET", 0},    {"WEST", 60},  {"BST", 60},    {"MSK", 180},
    {"MSD", 240},  {"JST", 540},  {"KST", 540},  {"HKT", 480},  {"SGT", 480},   {"AEST", 600},
    {"AEDT", 660}, {"NZST", 720}, {"NZDT", 780}, {"HST", -600}, {"AKST", -540}, {"AKDT", -480},
    {"SAST", 120}, {"WAST", 60},  {"BRT", -180}, {"ART", -180}, {"IDT", 180},
};

/* A word that may be a zone. Names without a known offset (military letters too, RFC 5322 4.3) say
 * only that no offset is known. */
static bool take_zone_name(struct reading *r, struct slice word)
{
    for (size_t i = 0; i < COUNT(zones); i++) {
        if (!slice_eq_nocase(word, slice_of(zones[i].name)))
            continue;
        if (!r->has_zone) {
            r->zone_minutes = zones[i].minutes;
            r->has_zone = r->zone_known = true;
        }
        return true;
    }
    return false;
}

/* "+0100", "-01:00", "+01", "+530" */
static bool take_zone_offset(struct reading *r, struct slice text)
{
    bool negative = text.p[0] == '-';
    char digits[5];
    size_t n = 0;

    for (size_t i = 1; i < text.n; i++) {
        if (text.p[i] == ':' && (i == 2 || i == 3))
            continue;
        if (!ascii_is_digit(text.p[i]) || n == sizeof digits - 1)
            return false;
        digits[n++] = text.p[i];
    }
    if (n == 0)
        return false;
    int64_t v = number_of((struct slice){digits, n});
    int minutes = (int)(n <= 2 ? v * 60 : v / 100 * 60 + v % 100); /* at most 9999 */
    if (r->has_zone)
        return true;
    if (minutes > 24 * 60) /* says nothing: no such zone */
        minutes = 0;
    r->zone_minutes = negative ? -minutes : minutes;
    r->has_zone = true;
    r->zone_known = !(negative && minutes == 0);
    return true;
}

/* "12:34", "12:34:56", "12.34.56", "12:34:56.789" */
static bool take_time(struct reading *r, struct slice text)
{
    int64_t part[3] = {0, 0, 0};
    size_t count = 0;
    bool colons = slice_find(text, ':') != SLICE_NONE;

    if (r->hour >= 0)
        return false;
    while (text.n > 0 && count < 3) {
        size_t n = 0;
        while (n < text.n && ascii_is_digit(text.p[n]))
            n++;
        part[count] = number_of(slice_sub(text, 0, n));
        if (part[count++] < 0)
            return false;
        if (n == text.n)
            break;
        if (text.p[n] != ':' && text.p[n] != '.')
            return false;
        if (text.p[n] == '.' && colons) /* a fraction of a second: only digits may follow */
            break;
        text = slice_from(text, n + 1);
    }
    if (count < 2 || part[0] > 24 || part[1] > 59 || part[2] > 60)
        return false;
    r->hour = part[0];
    r->minute = part[1];
    r->second = part[2];
    return true;
}

static int64_t full_year(int64_t year, size_t digits)
{
    if (digits <= 2) /* RFC 5322 4.3 */
        return year < 50 ? 2000 + year : 1900 + year;
    return digits == 3 ? 1900 + year : year;
}

/* "2006-11-30", "2006/11/30", "30-Nov-2006", "30/11/2006" */
static bool take_dashed(struct reading *r, struct slice text, char sep)
{
    struct slice rest = text;
    struct slice a = slice_cut(&rest, sep), b = slice_cut(&rest, sep), c = rest;
    int month = name_index(b, months, COUNT(months));
    int64_t x = number_of(a), y = month >= 0 ? month + 1 : number_of(b), z = number_of(c);

    if (x < 0 || y < 1 || z < 0 || r->day >= 0 || r->year >= 0)
        return false;
    if (a.n == 4) {
        r->year = x;
        r->day = z;
    } else {
        r->year = full_year(z, c.n);
        r->day = x;
    }
    if (y > 12 && r->day <= 12) { /* month first, as Americans write */
        int64_t swap = y;
        y = r->day;
        r->day = swap;
    }
    r->month = y;
    return true;
}

static bool take_number(struct reading *r, struct slice text)
{
    int64_t v = number_of(text);

    if (v < 0)
        return false;
    if (text.n == 4 && r->year < 0 && (v >= 1900 || r->day >= 0)) {
        r->year = v;
    } else if (r->day < 0 && (text.n <= 2 || text.p[0] == '0') && v >= 1 && v <= 31) {
        r->day = v;
    } else if (r->year < 0 && text.n <= 4) {
        r->year = full_year(v, text.n);
    } else if (!r->has_zone && r->hour >= 0 && text.n == 4 && v < 2400 && v % 100 < 60) {
        /* "0200" without its sign */
        r->zone_minutes = (int)(v / 100 * 60 + v % 100);
        r->has_zone = r->zone_known = true;
    } else {
        return false;
    }
    return true;
}

/* A word that begins with a letter. */
static bool take_word(struct reading *r, struct slice word)
{
    int month = name_index(word, months, COUNT(months));

    if (slice_eq_nocase(word, SLICE("pm")) || slice_eq_nocase(word, SLICE("am"))) {
        r->pm = slice_eq_nocase(word, SLICE("pm"));
        r->am = !r->pm;
        return true;
    }
    if (take_zone_name(r, word))
        return true;
    if (month >= 0 && r->month < 0) {
        r->month = month + 1;
        return true;
    }
    if (name_index(word, days, COUNT(days)) >= 0)
        return true;
    /* "GMT+0200" */
    size_t sign =
        slice_find(word, '+') != SLICE_NONE ? slice_find(word, '+') : slice_find(word, '-');
    if (sign != SLICE_NONE && sign > 0 && sign + 1 < word.n)
        return take_zone_offset(r, slice_from(word, sign));
    return r->hour >= 0; /* an unknown zone name, or a remark behind the time */
}

/* ISO 8601: "2006-11-30T12:34:56+01:00" is cut into its three parts. */
static bool take_iso(struct reading *r, struct slice text)
{
    size_t t = 10, zone;

    if (text.n < 16 || text.p[4] != '-' || text.p[7] != '-' || ascii_upper(text.p[t]) != 'T')
        return false;
    for (zone = t + 1; zone < text.n; zone++)
        if (text.p[zone] == '+' || text.p[zone] == '-' || ascii_upper(text.p[zone]) == 'Z')
            break;
    if (!take_dashed(r, slice_sub(text, 0, t), '-') ||
        !take_time(r, slice_sub(text, t + 1, zone - t - 1)))
        return false;
    struct slice rest = slice_from(text, zone);
    if (rest.n == 0)
        return true;
    return rest.n == 1 ? take_zone_name(r, rest) : take_zone_offset(r, rest);
}

static bool take_token(struct reading *r, struct slice t)
{
    size_t sign;

    if (t.p[0] == '+' || t.p[0] == '-')
        return take_zone_offset(r, t) || r->hour >= 0;
    if (ascii_is_alpha(t.p[0]))
        return take_word(r, t);
    if (!ascii_is_digit(t.p[0]))
        return true; /* punctuation */
    if (take_iso(r, t))
        return true;
    /* "12:34:56+0100", "12:34:56PM" stuck together */
    bool has_colon = slice_find(t, ':') != SLICE_NONE;
    if (has_colon || slice_find(t, '.') != SLICE_NONE) {
        for (sign = 1; sign < t.n; sign++)
            if (t.p[sign] == '+' || t.p[sign] == '-' || ascii_is_alpha(t.p[sign]))
                break;
        if (take_time(r, slice_sub(t, 0, sign)))
            return sign == t.n || take_token(r, slice_from(t, sign));
    }
    if (slice_find(t, '-') != SLICE_NONE)
        return take_dashed(r, t, '-');
    if (slice_find(t, '/') != SLICE_NONE)
        return take_dashed(r, t, '/');
    if (slice_find(t, '.') != SLICE_NONE && take_dashed(r, t, '.'))
        return true;
    while (t.n > 0 && !ascii_is_digit(t.p[t.n - 1])) /* "30." or "1st" */
        t.n--;
    return take_number(r, t);
}

/* Cuts the next word off *rest; white space, commas and comments stand between. */
static struct slice next_token(struct slice *rest)
{
    size_t n = 0, depth = 0, i = 0;

    for (; i < rest->n; i++) {
        char c = rest->p[i];
        if (depth > 0 && c == '\\')
            i++;
        else if (c == '(')
            depth++;
        else if (depth > 0 && c == ')')
            depth--;
        else if (depth == 0 && !ascii_is_space(c) && c != ',' && c != ';' && c != '_' && c != ')')
            break;
    }
    *rest = slice_from(*rest, i);
    while (n < rest->n && !ascii_is_space(rest->p[n]) && rest->p[n] != ',' && rest->p[n] != '(' &&
           rest->p[n] != ')' && rest->p[n] != ';' && rest->p[n] != '_')
        n++;
    struct slice token = slice_sub(*rest, 0, n);
    *rest = slice_from(*rest, n);
    return token;
}

static unsigned month_length(int64_t year, int64_t month)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return lengths[month - 1] + (month == 2 && leap ? 1u : 0u);
}

int date_parse(struct slice text, struct mail_date *date_out, struct err *e)
{
    struct reading r = {.year = -1, .month = -1, .day = -1, .hour = -1};
    struct slice rest = slice_sub(slice_trim(text), 0, TEXT_MAX), token;
    struct slice shown = slice_sub(rest, 0, 60);

    *date_out = (struct mail_date){0};
    for (unsigned i = 0; i < TOKENS_MAX && (token = next_token(&rest)).n > 0; i++)
        if (!take_token(&r, token) && r.hour < 0)
            return err_set(e, ERR_SYNTAX, "date \"%.*s\": what is \"%.*s\"?", SLICE_ARG(shown),
                           SLICE_ARG(slice_sub(token, 0, 30)));
    const char *missing = r.day < 1     ? "day"
                          : r.month < 1 ? "month"
                          : r.year < 0  ? "year"
                          : r.hour < 0  ? "time"
                                        : NULL;
    if (missing != NULL)
        return err_set(e, ERR_SYNTAX, "date \"%.*s\" has no %s", SLICE_ARG(shown), missing);
    if (r.month > 12 || r.day > month_length(r.year, r.month) || r.year > 9999)
        return err_set(e, ERR_SYNTAX, "date \"%.*s\": there is no such day", SLICE_ARG(shown));
    if (r.pm && r.hour < 12)
        r.hour += 12;
    else if (r.am && r.hour == 12)
        r.hour = 0;
    /* The casts: checked above, all small. */
    date_out->unix_s = date_from_civil(r.year, (unsigned)r.month, (unsigned)r.day, (unsigned)r.hour,
                                       (unsigned)r.minute, (unsigned)r.second) -
                       (int64_t)r.zone_minutes * 60;
    date_out->zone_minutes = r.zone_minutes;
    date_out->zone_known = r.zone_known;
    return 0;
}

/* --- strictly --- */

static bool eat(struct slice *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = slice_from(*s, 1);
    return true;
}

static bool eat_space(struct slice *s)
{
    struct slice before = *s;

    while (s->n > 0 && ascii_is_space(s->p[0]))
        *s = slice_from(*s, 1);
    return s->n < before.n;
}

static bool eat_digits(struct slice *s, size_t least, size_t most)
{
    size_t n = 0;

    while (n < s->n && n < most && ascii_is_digit(s->p[n]))
        n++;
    *s = slice_from(*s, n);
    return n >= least;
}

bool date_is_strict(struct slice text)
{
    struct slice s = slice_trim(text), name = slice_sub(s, 0, 3);
    struct mail_date date;
    struct err e;
    int weekday = -1;

    if (date_parse(text, &date, &e) != 0)
        return false;
    if (s.n > 3 && s.p[3] == ',') {
        weekday = name_index(name, days, COUNT(days));
        s = slice_from(s, 4);
        if (weekday < 0 || !eat_space(&s))
            return false;
    }
    if (!eat_digits(&s, 1, 2) || !eat_space(&s) ||
        name_index(slice_sub(s, 0, 3), months, COUNT(months)) < 0)
        return false;
    s = slice_from(s, 3);
    if (!eat_space(&s) || !eat_digits(&s, 4, 4) || !eat_space(&s) || !eat_digits(&s, 2, 2) ||
        !eat(&s, ':') || !eat_digits(&s, 2, 2))
        return false;
    if (eat(&s, ':') && !eat_digits(&s, 2, 2))
        return false;
    if (!eat_space(&s) || (!eat(&s, '+') && !eat(&s, '-')) || !eat_digits(&s, 4, 4))
        return false;
    struct slice after = s; /* a comment with the zone's name may follow */
    if (after.n > 0 && !(eat_space(&after) && after.n > 0 && after.p[0] == '('))
        return false;
    unsigned real = date_to_civil(date.unix_s + (int64_t)date.zone_minutes * 60).weekday;
    return weekday < 0 || (unsigned)weekday == real;
}

/* --- writing --- */

#define YEAR_1 (-62135596800)    /* 0001-01-01 00:00:00 */
#define YEAR_9999 (253402300799) /* 9999-12-31 23:59:59 */

static int64_t clip(int64_t unix_s)
{
    return unix_s < YEAR_1 ? YEAR_1 : unix_s > YEAR_9999 ? YEAR_9999 : unix_s;
}

void date_format(int64_t unix_s, int zone_minutes, struct buf *out)
{
    struct date_civil c = date_to_civil(clip(clip(unix_s) + (int64_t)zone_minutes * 60));
    unsigned zone = (unsigned)(zone_minutes < 0 ? -zone_minutes : zone_minutes);
    char day[4], month[4];

    memcpy(day, days[c.weekday], sizeof day);
    memcpy(month, months[c.month - 1], sizeof month);
    day[0] = ascii_upper(day[0]);
    month[0] = ascii_upper(month[0]);
    buf_printf(out, "%s, %02u %s %04lld %02u:%02u:%02u %c%02u%02u", day, c.day, month,
               (long long)c.year, c.hour, c.minute, c.second, zone_minutes < 0 ? '-' : '+',
               zone / 60 % 100, zone % 60);
}

void date_format_short(int64_t unix_s, struct buf *out)
{
    struct date_civil c = date_to_civil(clip(unix_s));

    buf_printf(out, "%04lld-%02u-%02u %02u:%02u:%02u", (long long)c.year, c.month, c.day, c.hour,
               c.minute, c.second);
}
