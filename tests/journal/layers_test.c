/* SPDX-License-Identifier: MIT */
/* What is seen, and what is used again, while changes sink from one place to the next. */
#include "owner.h"

#include "commit/env.h"
#include "journal/journal_private.h"

/* The committer has written and entered a group, and is held up before it publishes it. */
static struct commit_group enter_without_publishing(struct owner *owner)
{
    struct commit *commit = &owner->journal->commit;
    lock_take(&commit->lock);
    commit->ops->seal(commit->owner);
    struct commit_group group = commit->filling;
    commit->filling = (struct commit_group){.epoch = group.epoch + 1};
    commit->in_flight = group;
    commit->committing = true;
    lock_release(&commit->lock);
    OK(commit->ops->write(commit->owner, &group, true, &owner->err));
    return group;
}

static void publish(struct owner *owner, const struct commit_group *group)
{
    struct commit *commit = &owner->journal->commit;
    lock_take(&commit->lock);
    commit->in_flight = (struct commit_group){0};
    commit->written = group->epoch;
    commit->ops->publish(commit->owner, true);
    atomic_store(&commit->durable, group->epoch);
    commit->committing = false;
    lock_release(&commit->lock);
    for (struct commit_buffer *buffer = group->first, *next; buffer; buffer = next) {
        next = buffer->next;
        env_put(commit->env, buffer);
    }
}

/* Space that is free before it is published would be taken for what is published long since. */
static void frees_what_is_published_only(void **state)
{
    struct owner *owner = *state;
    struct journal *journal = owner->journal;
    owner_fill(owner, 100, 1, 2000);
    owner_force(owner);
    owner_fill(owner, 1100, 2, 2000);
    struct commit_group group = enter_without_publishing(owner);
    OK(apply_all(journal, &owner->err));
    assert_true(journal->head > 0);
    assert_true(journal->head <= journal->published.position);
    owner_fill(owner, 1500, 3, 100);
    publish(owner, &group);
    owner_expect(owner, 100, 1, 1000, false);
    owner_expect(owner, 1100, 2, 400, false);
    owner_expect(owner, 1500, 3, 100, false);
    owner_expect(owner, 1600, 2, 1500, false);
    owner_expect(owner, 1100, 2, 2000, true);
    OK(apply_all(journal, &owner->err));
    assert_int_equal(journal->head, journal->published.position);
    owner_expect(owner, 1100, 2, 2000, true);
    owner_close(owner);
    owner_open(owner);
    owner_expect(owner, 1500, 3, 100, false);
    owner_expect(owner, 1600, 2, 1500, false);
}

/* What was entered and not published is durable: it survives being applied in part. */
static void keeps_what_is_not_published(void **state)
{
    struct owner *owner = *state;
    owner_fill(owner, 100, 1, 2000);
    owner_force(owner);
    owner_fill(owner, 1100, 2, 2000);
    struct commit_group group = enter_without_publishing(owner);
    OK(apply_all(owner->journal, &owner->err));
    publish(owner, &group);
    owner_kill(owner);
    OK(firn_faulty_restart(owner->faulty, 0, &owner->err));
    owner_open(owner);
    owner_expect(owner, 100, 1, 1000, false);
    owner_expect(owner, 1100, 2, 2000, false);
}

/* A read of more pieces than there is room for without an allocation. */
static void reads_many_pieces(void **state)
{
    struct owner *owner = *state;
    uint8_t wanted[2000], found[2000];
    memset(wanted, 9, sizeof wanted);
    owner_write(owner, 1000, wanted, sizeof wanted);
    owner_force(owner);
    for (uint8_t i = 0; i < 200; i++) {
        wanted[i * 10u] = i;
        owner_write(owner, 1000 + i * 10u, wanted + i * 10u, 1);
    }
    OK(journal_read(owner->journal, 1000, 2000, 2000, false, found, &owner->err));
    assert_memory_equal(found, wanted, sizeof wanted);
    owner_expect(owner, 1000, 9, 2000, true);
    owner_force(owner);
    OK(journal_read(owner->journal, 1000, 2000, 2000, true, found, &owner->err));
    assert_memory_equal(found, wanted, sizeof wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frees_what_is_published_only, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(keeps_what_is_not_published, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(reads_many_pieces, owner_setup, owner_teardown),
    };
    return cmocka_run_group_tests_name("journal/layers", tests, NULL, NULL);
}
