#include <assert.h>

#include "store/ledger/duplicates_in.h"

#define FIRST_SLOTS 1024

struct duplicate_entry {
    uint32_t print;
    uint32_t distance; /* from base; 0: free */
};

static uint32_t print_of(const unsigned char *digest)
{
    uint32_t print;

    memcpy(&print, digest, sizeof print);
    return print;
}

/* Spreads the prints evenly over any number of slots. */
static size_t slot_of(uint32_t print, size_t slots)
{
    return (size_t)((uint64_t)print * slots >> 32);
}

static size_t limit_of(size_t slots)
{
    return slots / 5 * 4;
}

void duplicates_init(struct duplicates *d, size_t max)
{
    *d = (struct duplicates){.slots = FIRST_SLOTS, .max = max, .base = 0};
    d->entries = mem_alloc(d->slots * sizeof *d->entries);
}

void duplicates_finish(struct duplicates *d)
{
    free(d->entries);
    *d = (struct duplicates){0};
}

bool duplicates_is_crowded(const struct duplicates *d, int64_t reference)
{
    return d->count >= limit_of(d->slots) || d->count >= d->max ||
           reference - d->base > UINT32_MAX || reference <= d->base;
}

static void place(struct duplicates *d, uint32_t print, uint32_t distance)
{
    size_t at = slot_of(print, d->slots);

    while (d->entries[at].distance != 0)
        at = at + 1 < d->slots ? at + 1 : 0;
    d->entries[at] = (struct duplicate_entry){print, distance};
    d->count++;
}

/* How many entries refer to `oldest` or later. */
static size_t count_since(const struct duplicates *d, int64_t oldest)
{
    size_t count = 0;

    for (size_t i = 0; i < d->slots; i++)
        count += d->entries[i].distance != 0 && d->base + d->entries[i].distance >= oldest;
    return count;
}

/* The references span base..base+2^32; halve the span until at most `keep` entries are left. */
static int64_t find_cut(const struct duplicates *d, int64_t oldest, size_t keep)
{
    int64_t low = oldest, high = d->base + UINT32_MAX;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (count_since(d, middle) > keep)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void duplicates_trim(struct duplicates *d, int64_t oldest)
{
    struct duplicate_entry *old = d->entries;
    size_t old_slots = d->slots;
    int64_t old_base = d->base;

    size_t live = count_since(d, oldest);
    if (live >= d->max) {
        oldest = find_cut(d, oldest, d->max / 4 * 3);
        live = count_since(d, oldest);
    }
    size_t slots = live / 8 * 15 + FIRST_SLOTS; /* about half full */
    size_t most = d->max / 4 * 5 + FIRST_SLOTS;
    d->slots = slots < most ? slots : most;
    d->entries = mem_alloc(d->slots * sizeof *d->entries);
    d->count = 0;
    d->base = oldest - 1;
    for (size_t i = 0; i < old_slots; i++) {
        int64_t reference = old_base + old[i].distance;
        if (old[i].distance != 0 && reference >= oldest && reference - d->base <= UINT32_MAX)
            place(d, old[i].print, (uint32_t)(reference - d->base)); /* bounded just above */
    }
    free(old);
}

void duplicates_add(struct duplicates *d, const unsigned char *digest, int64_t reference)
{
    assert(!duplicates_is_crowded(d, reference));
    place(d, print_of(digest), (uint32_t)(reference - d->base)); /* bounded, not crowded */
}

bool duplicates_next(const struct duplicates *d, const unsigned char *digest, size_t *cursor,
                     int64_t *reference_out)
{
    uint32_t print = print_of(digest);
    size_t start = slot_of(print, d->slots);

    for (size_t step = *cursor; step < d->slots; step++) {
        const struct duplicate_entry *entry = &d->entries[(start + step) % d->slots];
        if (entry->distance == 0)
            return false;
        if (entry->print == print) {
            *cursor = step + 1;
            *reference_out = d->base + entry->distance;
            return true;
        }
    }
    return false;
}
