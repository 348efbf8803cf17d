/* SPDX-License-Identifier: MIT */
/* Names whose directory was never synced. */
#include "prng.h"
#include "support.h"

static int add_name(void *arg, const char *path, const struct firn_entry *entry)
{
    struct lines *lines = arg;
    lines->length += (size_t)snprintf(lines->text + lines->length, 64, "%s%s ", path,
                                      entry->kind == FIRN_ENTRY_DIR ? "/" : "");
    return 0;
}

/* All names, such as "a d/ d/b ". */
static void names_of(struct firn_faulty *sim, struct lines *lines)
{
    lines->length = 0;
    lines->text[0] = '\0';
    OK(firn_faulty_walk(sim, FIRN_FAULTY_CURRENT, add_name, lines));
}

/* True if `text` is one of `all`, which are separated by '|'; `number` says which. */
static bool is_among(const char *text, const char *all, size_t *number)
{
    size_t n = strlen(text);
    for (*number = 0;; ++*number) {
        size_t length = strcspn(all, "|");
        if (length == n && memcmp(all, text, n) == 0) {
            return true;
        }
        if (all[length] == '\0') {
            return false;
        }
        all += length + 1;
    }
}

/* Every outcome is one of `expected` (separated by '|'), and each of them is an outcome. */
static void expect_outcomes(struct firn_faulty *sim, const char *expected)
{
    unsigned seen = 0;
    unsigned all = 1;
    uint64_t outcomes = firn_faulty_outcomes(sim);
    assert_in_range(outcomes, 1, 64);
    for (const char *bar = expected; (bar = strchr(bar, '|')) != NULL; bar++) {
        all = all << 1 | 1;
    }
    for (uint64_t i = 0; i < outcomes; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        struct lines lines;
        size_t number = 0;
        OK(firn_faulty_restart(copy, i, NULL));
        names_of(copy, &lines);
        if (!is_among(lines.text, expected, &number)) {
            fail_msg("outcome %llu is \"%s\", not among %s", (unsigned long long)i, lines.text,
                     expected);
        }
        seen |= 1U << number;
        firn_faulty_free(copy);
    }
    if (seen != all) {
        fail_msg("seen %x, expected %s", seen, expected);
    }
}

static void make(struct firn_faulty *sim, const char *path)
{
    file_close(file_create(sim, path));
}

static void test_creation(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    make(sim, "a");
    make(sim, "b");
    assert_int_equal(firn_faulty_outcomes(sim), 4);
    expect_outcomes(sim, "|a |b |a b ");
    OK(name_sync_dir(sim, "/"));
    expect_outcomes(sim, "a b ");
    firn_faulty_free(sim);
}

static void test_removal(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "a", "1");
    put_text(sim, "b", "2");
    OK(name_remove(sim, "a"));
    OK(name_remove(sim, "b"));
    assert_false(name_exists(sim, "a"));
    expect_outcomes(sim, "a b |a |b |"); /* in any order */
    struct firn_faulty *copy = sim_clone(sim);
    OK(firn_faulty_restart(copy, 0, NULL));
    expect_text(copy, "a", FIRN_FAULTY_CURRENT, "1");
    firn_faulty_free(copy);
    OK(name_sync_dir(sim, ""));
    expect_outcomes(sim, "");
    firn_faulty_free(sim);
}

static void test_creation_and_removal_of_one_name(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "a", "1");
    OK(name_remove(sim, "a"));
    make(sim, "a");
    /* the old one, none, the new one; never the new one without the removal of the old one */
    assert_int_equal(firn_faulty_outcomes(sim), 3);
    expect_outcomes(sim, "a |");
    OK(name_remove(sim, "a"));
    assert_int_equal(firn_faulty_outcomes(sim), 3); /* the last one is the second again */
    firn_faulty_free(sim);
}

static void test_rename_is_one_effect(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "a", "1");
    OK(name_rename(sim, "a", "b"));
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    expect_outcomes(sim, "a |b ");
    firn_faulty_free(sim);
}

static void test_replacing_rename(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "current", "old");
    struct firn_file *file = file_create(sim, "new");
    OK(file_write_durable(file, "new", 3, 0));
    file_close(file);
    OK(name_rename(sim, "new", "current"));
    expect_outcomes(sim, "current |current new ");
    bool old = false;
    bool new = false;
    for (uint64_t i = 0; i < firn_faulty_outcomes(sim); i++) {
        struct firn_faulty *copy = sim_clone(sim);
        void *bytes = NULL;
        size_t size = 0;
        OK(firn_faulty_restart(copy, i, NULL));
        OK(firn_faulty_get(copy, "current", FIRN_FAULTY_CURRENT, &bytes, &size, NULL));
        assert_int_equal(size, 3);
        old = old || memcmp(bytes, "old", 3) == 0;
        new = new || memcmp(bytes, "new", 3) == 0;
        free(bytes);
        firn_faulty_free(copy);
    }
    assert_true(old && new);
    OK(name_sync_dir(sim, ""));
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_text(sim, "current", FIRN_FAULTY_CURRENT, "new");
    assert_false(name_exists(sim, "new"));
    firn_faulty_free(sim);
}

static void test_rename_of_unsynced_content(void **state)
{
    (void)state;
    /* The classic: write, rename over, no sync between them. */
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "current", "old");
    struct firn_file *file = file_create(sim, "new");
    OK(file_write(file, "new", 3, 0));
    file_close(file);
    OK(name_rename(sim, "new", "current"));
    OK(name_sync_dir(sim, ""));
    struct firn_faulty *copy = sim_clone(sim);
    OK(firn_faulty_restart(copy, 0, NULL));
    expect_text(copy, "current", FIRN_FAULTY_CURRENT, ""); /* neither old nor new */
    firn_faulty_free(copy);
    firn_faulty_free(sim);
}

static void test_directories(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    OK(name_make_dir(sim, "d"));
    make(sim, "d/a");
    OK(name_sync_dir(sim, "d"));
    expect_outcomes(sim, "|d/ d/a ");
    make(sim, "d/b");
    assert_int_equal(firn_faulty_outcomes(sim), 3); /* without d there is no b to be or not to be */
    expect_outcomes(sim, "|d/ d/a |d/ d/a d/b ");
    OK(name_sync_dir(sim, ""));
    expect_outcomes(sim, "d/ d/a |d/ d/a d/b ");
    struct firn_disk *disk = firn_faulty_disk(sim);
    FAILS(FIRN_EBUSY, disk->ops->remove_dir(disk, "d", NULL));
    OK(name_remove(sim, "d/a"));
    OK(name_remove(sim, "d/b"));
    OK(disk->ops->remove_dir(disk, "d", NULL));
    expect_outcomes(sim, "d/ d/a |d/ d/a d/b |d/ |d/ d/b |");
    OK(name_sync_dir(sim, ""));
    expect_outcomes(sim, "");
    firn_faulty_free(sim);
}

static void test_links(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    char target[8];
    OK(disk->ops->make_link(disk, "4711", "l.lock", NULL));
    FAILS(FIRN_EEXIST, disk->ops->make_link(disk, "4712", "l.lock", NULL));
    OK(disk->ops->read_link(disk, "l.lock", target, sizeof(target), NULL));
    assert_string_equal(target, "4711");
    FAILS(FIRN_ERANGE, disk->ops->read_link(disk, "l.lock", target, 4, NULL));
    expect_outcomes(sim, "|l.lock ");
    firn_faulty_free(sim);
}

static void test_crash_in_the_operation(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "a", "1");
    firn_faulty_crash_at(sim, 1);
    FAILS(FIRN_EIO, name_rename(sim, "a", "b"));
    expect_outcomes(sim, "a |b ");
    OK(firn_faulty_restart(sim, 0, NULL));
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(sim, &counts);
    firn_faulty_crash_at(sim, counts.mutations + 2);
    make(sim, "c");
    FAILS(FIRN_EIO, name_sync_dir(sim, ""));
    expect_outcomes(sim, "a |a c ");
    firn_faulty_free(sim);
}

/* ---- all sets of effects, against a second model -------------------------------------------- */

enum { NAMES = 4, MOST_EFFECTS = 6, ROUNDS = 1000 };

struct effect {
    int name[2];
    int file[2]; /* what the name stands for then; 0: nothing */
    int count;
};

struct history {
    int durable[NAMES];
    int current[NAMES];
    struct effect effects[MOST_EFFECTS];
    int count;
    int files;
};

static bool shares(const struct effect *a, const struct effect *b)
{
    for (int i = 0; i < a->count; i++) {
        for (int k = 0; k < b->count; k++) {
            if (a->name[i] == b->name[k]) {
                return true;
            }
        }
    }
    return false;
}

static bool possible(const struct history *history, unsigned chosen)
{
    for (int i = 0; i < history->count; i++) {
        for (int k = 0; k < i; k++) {
            if ((chosen >> i & 1U) != 0 && (chosen >> k & 1U) == 0 &&
                shares(&history->effects[i], &history->effects[k])) {
                return false;
            }
        }
    }
    return true;
}

static void describe(const int files[NAMES], char *text)
{
    for (int i = 0; i < NAMES; i++) {
        text += sprintf(text, "%c%d ", 'a' + i, files[i]);
    }
}

static size_t add(char (*texts)[64], size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0) {
            return count;
        }
    }
    strcpy(texts[count], text);
    return count + 1;
}

static size_t expected_states(const struct history *history, char (*texts)[64])
{
    size_t count = 0;
    for (unsigned chosen = 0; chosen < 1U << history->count; chosen++) {
        if (!possible(history, chosen)) {
            continue;
        }
        int files[NAMES];
        char text[64];
        memcpy(files, history->durable, sizeof(files));
        for (int i = 0; i < history->count; i++) {
            for (int k = 0; (chosen >> i & 1U) != 0 && k < history->effects[i].count; k++) {
                files[history->effects[i].name[k]] = history->effects[i].file[k];
            }
        }
        describe(files, text);
        count = add(texts, count, text);
    }
    return count;
}

static void path_of(int name, char path[8])
{
    (void)snprintf(path, 8, "d/%c", 'a' + name);
}

/* A file that durably holds its own number. */
static void make_file(struct firn_faulty *sim, struct history *history, int name)
{
    char path[8];
    uint8_t number = (uint8_t)++history->files;
    path_of(name, path);
    struct firn_file *file = file_create(sim, path);
    OK(file_write_durable(file, &number, 1, 0));
    file_close(file);
    history->current[name] = number;
}

static void random_step(struct firn_faulty *sim, struct history *history, struct prng *random)
{
    struct effect *effect = &history->effects[history->count];
    int name = (int)prng_below(random, NAMES);
    int other = (int)prng_below(random, NAMES);
    char from[8];
    char to[8];
    path_of(name, from);
    path_of(other, to);
    if (history->current[name] == 0) {
        make_file(sim, history, name);
        *effect = (struct effect){{name, 0}, {history->current[name], 0}, 1};
    } else if (name == other) {
        OK(name_remove(sim, from));
        history->current[name] = 0;
        *effect = (struct effect){{name, 0}, {0, 0}, 1};
    } else {
        OK(name_rename(sim, from, to));
        history->current[other] = history->current[name];
        history->current[name] = 0;
        *effect = (struct effect){{name, other}, {0, history->current[other]}, 2};
    }
    history->count++;
}

static void current_state(struct firn_faulty *sim, char *text)
{
    int files[NAMES];
    for (int i = 0; i < NAMES; i++) {
        char path[8];
        void *bytes = NULL;
        size_t size = 0;
        path_of(i, path);
        files[i] = 0;
        if (firn_faulty_get(sim, path, FIRN_FAULTY_CURRENT, &bytes, &size, NULL) == 0) {
            assert_int_equal(size, 1);
            files[i] = *(uint8_t *)bytes;
            free(bytes);
        }
    }
    describe(files, text);
}

static size_t found_states(struct firn_faulty *sim, char (*texts)[64])
{
    size_t count = 0;
    uint64_t outcomes = firn_faulty_outcomes(sim);
    for (uint64_t i = 0; i < outcomes; i++) {
        char text[64];
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i, NULL));
        current_state(copy, text);
        count = add(texts, count, text);
        firn_faulty_free(copy);
    }
    return count;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void test_against_the_second_model(void **state)
{
    (void)state;
    static char expected[1 << MOST_EFFECTS][64];
    static char found[1 << MOST_EFFECTS][64];
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct prng random = prng_new(seed);
        struct history history = {.count = 0};
        struct firn_faulty *sim = sim_new(seed);
        OK(name_make_dir(sim, "d"));
        make_file(sim, &history, 0);
        make_file(sim, &history, 1);
        memcpy(history.durable, history.current, sizeof(history.durable));
        OK(firn_faulty_settle(sim, NULL));
        size_t steps = 1 + prng_below(&random, MOST_EFFECTS);
        for (size_t i = 0; i < steps; i++) {
            random_step(sim, &history, &random);
        }
        size_t wanted = expected_states(&history, expected);
        size_t got = found_states(sim, found);
        qsort(expected, wanted, sizeof(expected[0]), compare_texts);
        qsort(found, got, sizeof(found[0]), compare_texts);
        if (wanted != got) {
            fail_msg("round %llu: %zu states, %zu expected", (unsigned long long)seed, got, wanted);
        }
        for (size_t i = 0; i < got; i++) {
            assert_string_equal(found[i], expected[i]);
        }
        firn_faulty_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_creation),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_creation_and_removal_of_one_name),
        cmocka_unit_test(test_rename_is_one_effect),
        cmocka_unit_test(test_replacing_rename),
        cmocka_unit_test(test_rename_of_unsynced_content),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_crash_in_the_operation),
        cmocka_unit_test(test_against_the_second_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
