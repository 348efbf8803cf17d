/* SPDX-License-Identifier: MIT */
/* What is pending, and where the images differ, as text. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "faulty/sim.h"

/* Where lines go. */
struct report {
    const struct firn_faulty *sim;
    firn_faulty_line_fn *each;
    void *arg;
    char path[FAULTY_PATH_SIZE];
};

static void tell(const struct report *report, const char *format, ...) FIRN_PRINTF(2, 3);

static void tell(const struct report *report, const char *format, ...)
{
    char line[FAULTY_PATH_SIZE + 2 * FAULTY_NAME_MAX + 120];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    report->each(report->arg, line);
}

/* Calls `each` for all nodes below a directory that a name leads to, current or durable. */
typedef void node_fn(struct report *report, const struct faulty_node *node);

static void visit(struct report *report, uint32_t number, node_fn *each);

static void visit_link(struct report *report, const struct faulty_link *link, node_fn *each)
{
    size_t length = strlen(report->path);
    (void)snprintf(report->path + length, sizeof(report->path) - length, "%s%s",
                   length > 0 ? "/" : "", faulty_name_text(link->name));
    visit(report, link->node, each);
    report->path[length] = '\0';
}

static void visit(struct report *report, uint32_t number, node_fn *each)
{
    const struct faulty_node *node = faulty_tree_get(&report->sim->tree, number);
    each(report, node);
    for (size_t i = 0; i < node->names.current.count; i++) {
        visit_link(report, &node->names.current.items[i], each);
    }
    for (size_t i = 0; i < node->names.durable.count; i++) {
        const struct faulty_link *link = &node->names.durable.items[i];
        if (!faulty_tree_get(&report->sim->tree, link->node)->named) {
            visit_link(report, link, each);
        }
    }
}

static void visit_all(struct firn_faulty *sim, node_fn *each, firn_faulty_line_fn *line, void *arg)
{
    struct report report = {.sim = sim, .each = line, .arg = arg};
    faulty_enter(sim);
    (void)faulty_share_store(sim);
    visit(&report, 0, each);
    faulty_leave(sim);
}

/* ---- pending ------------------------------------------------------------------------------ */

static void tell_effect(const struct report *report, const struct faulty_effect *effect)
{
    unsigned long long time = effect->time;
    unsigned long long offset = effect->offset;
    if (effect->kind == FAULTY_WROTE) {
        tell(report, "%s: %s by %llu: %llu bytes at %llu", report->path,
             effect->lost ? "lost" : "written", time, (unsigned long long)effect->length, offset);
    } else {
        tell(report, "%s: %s by %llu to %llu bytes", report->path,
             effect->kind == FAULTY_GREW ? "grown" : "shrunk", time, offset);
    }
}

static void tell_renaming(const struct report *report, const struct faulty_renaming *effect)
{
    const char *slash = report->path[0] != '\0' ? "/" : "";
    unsigned long long time = effect->time;
    const char *name = faulty_name_text(effect->links[0].name);
    if (effect->count == 2) {
        tell(report, "%s%s%s: renamed by %llu to %s", report->path, slash, name, time,
             faulty_name_text(effect->links[1].name));
    } else {
        tell(report, "%s%s%s: %s by %llu", report->path, slash, name,
             effect->links[0].node == FAULTY_NONE ? "removed" : "made", time);
    }
}

static void tell_pending(struct report *report, const struct faulty_node *node)
{
    for (size_t i = 0; i < node->content.effects.count; i++) {
        tell_effect(report, &node->content.effects.items[i]);
    }
    for (size_t i = 0; i < node->names.effect_count; i++) {
        tell_renaming(report, &node->names.effects[i]);
    }
}

void firn_faulty_pending(struct firn_faulty *sim, firn_faulty_line_fn *each, void *arg)
{
    visit_all(sim, tell_pending, each, arg);
}

/* ---- differences -------------------------------------------------------------------------- */

static void tell_bytes(const struct report *report, const struct faulty_content *content)
{
    uint64_t size = content->size > content->durable_size ? content->size : content->durable_size;
    uint64_t start = 0;
    bool differs = false;
    for (uint64_t at = 0; at <= size; at++) {
        uint8_t current = 0;
        uint8_t durable = 0;
        if (at < size && at % FAULTY_PAGE == 0 &&
            faulty_table_page(&content->current, at / FAULTY_PAGE) ==
                faulty_table_page(&content->durable, at / FAULTY_PAGE) &&
            !differs) {
            at += FAULTY_PAGE - 1;
            continue;
        }
        if (at < size) {
            faulty_table_read(&content->current, at, &current, 1);
            faulty_table_read(&content->durable, at, &durable, 1);
        }
        if ((current != durable) != differs) {
            differs = !differs;
            if (differs) {
                start = at;
            } else {
                tell(report, "%s: bytes %llu to %llu differ", report->path,
                     (unsigned long long)start, (unsigned long long)at);
            }
        }
    }
}

static void tell_names(const struct report *report, const struct faulty_links *links,
                       const struct faulty_links *others, bool current)
{
    const char *slash = report->path[0] != '\0' ? "/" : "";
    for (size_t i = 0; i < links->count; i++) {
        const char *name = faulty_name_text(links->items[i].name);
        uint32_t other = faulty_links_find(others, name);
        if (other == FAULTY_NONE) {
            tell(report, "%s%s%s: %s", report->path, slash, name,
                 current ? "the name is not durable" : "only durable");
        } else if (other != links->items[i].node && current) {
            tell(report, "%s%s%s: another one is durable", report->path, slash, name);
        }
    }
}

static void tell_differences(struct report *report, const struct faulty_node *node)
{
    if (node->kind == FIRN_ENTRY_FILE) {
        if (node->content.size != node->content.durable_size) {
            tell(report, "%s: %llu bytes, %llu durable", report->path,
                 (unsigned long long)node->content.size,
                 (unsigned long long)node->content.durable_size);
        }
        tell_bytes(report, &node->content);
    }
    tell_names(report, &node->names.current, &node->names.durable, true);
    tell_names(report, &node->names.durable, &node->names.current, false);
}

void firn_faulty_differences(struct firn_faulty *sim, firn_faulty_line_fn *each, void *arg)
{
    visit_all(sim, tell_differences, each, arg);
}
