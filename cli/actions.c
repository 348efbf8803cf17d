/* SPDX-License-Identifier: MIT */
#include "actions.h"

#include <string.h>

#include "options.h"
#include "report.h"

int actions_find(const struct actions *actions, char **operands, size_t *which)
{
    const char *subcommand = actions->subcommand;
    size_t found = 0;
    while (found < actions->count && strcmp(operands[0], actions->all[found].name) != 0)
        found++;
    if (found == actions->count)
        return report_usage(subcommand, "'%s': write %s", operands[0], actions->names);
    const struct action *action = &actions->all[found];
    int count = 0;
    while (operands[1 + count])
        count++;
    if (count == 0)
        return report_usage(subcommand, "%s: no %s named", action->name, actions->object);
    if (count < action->least)
        return report_usage(subcommand, "%s: %s", action->name, action->missing);
    if (count > action->most)
        return report_usage(subcommand, "%s: too many arguments", action->name);
    *which = found;
    return OPTIONS_PARSED;
}

int actions_check_options(const struct actions *actions, size_t which,
                          const struct action_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (options[i].given && !(options[i].actions & 1u << which))
            return report_usage(actions->subcommand, "--%s says nothing to '%s'", options[i].name,
                                actions->all[which].name);
    }
    return OPTIONS_PARSED;
}
