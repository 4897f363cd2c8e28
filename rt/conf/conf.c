#include "rt/conf/conf.h"

#include <unistd.h>

#include "rt/conf/conf_in.h"

void conf_destroy(struct conf **c)
{
    struct conf_box *box;

    if (*c == NULL)
        return;
    box = CONTAINER_OF(*c, struct conf_box, conf);
    arena_destroy(&box->arena);
    free(box);
    *c = NULL;
}

void conf_name_host(struct conf *c)
{
    struct conf_box *box = CONTAINER_OF(c, struct conf_box, conf);
    char name[256] = "";

    if (c->hostname[0] != '\0')
        return;
    (void)gethostname(name, sizeof name - 1);
    c->hostname = arena_string(box->arena, slice_of(name[0] != '\0' ? name : "localhost"));
}

/* The section of that name; its first member is the title. */
static const void *find(const struct conf *c, enum conf_group g, struct slice title)
{
    size_t count;

    (void)conf_section_items(c, g, &count);
    for (size_t i = 0; i < count; i++) {
        const void *item = conf_section_item(c, g, i);

        if (slice_eq_nocase(slice_of(conf_item_title(item)), title))
            return item;
    }
    return NULL;
}

const struct conf_stream *conf_find_stream(const struct conf *c, struct slice name)
{
    return find(c, STREAM, name.n > 0 ? name : slice_of(c->default_stream));
}

const struct conf_key *conf_find_key(const struct conf *c, struct slice name)
{
    return find(c, KEY, name);
}

const char *conf_route_maildir(const struct conf_route *route)
{
    static const char prefix[] = "maildir:";

    if (route->via.count != 1 || !slice_starts(slice_of(route->via.items[0]), SLICE(prefix)))
        return NULL;
    return route->via.items[0] + sizeof prefix - 1;
}

const struct conf_route *conf_find_route(const struct conf *c, struct slice domain)
{
    const struct conf_route *route = find(c, ROUTE, domain);

    return route != NULL ? route : find(c, ROUTE, SLICE("*"));
}

const struct conf_route *conf_route_of_site(const struct conf *c, struct slice site)
{
    return slice_starts(site, SLICE(CONF_ROUTE_SITE))
               ? find(c, ROUTE, slice_from(site, sizeof CONF_ROUTE_SITE - 1))
               : conf_find_route(c, site);
}

const struct conf_route *conf_local_route(const struct conf *c, struct slice domain)
{
    const struct conf_route *route = conf_find_route(c, domain);

    return route != NULL && route->local && strcmp(route->title, "*") != 0 ? route : NULL;
}

bool conf_networks_hold(const struct conf_networks *networks, const struct ip_address *ip)
{
    for (size_t i = 0; i < networks->count; i++)
        if (ip_network_holds(&networks->items[i], ip))
            return true;
    return false;
}

const char *conf_smart_host(const struct conf *c)
{
    const struct conf_route *route = find(c, ROUTE, SLICE("*"));

    if (route == NULL || route->local || route->protocol != CONF_PROTOCOL_SMTP ||
        route->via.count == 0 || strcmp(route->via.items[0], "mx") == 0)
        return "";
    return route->via.items[0];
}

const char *conf_control_socket(const struct conf *c, char *out)
{
    if (c->control_socket[0] != '\0')
        snprintf(out, 256, "%s", c->control_socket);
    else
        snprintf(out, 256, "%s/control.sock", c->run_dir);
    return out;
}
