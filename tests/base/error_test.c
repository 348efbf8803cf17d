/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define COUNT_ONE(name, number, text) {name, number, #name, text},
static const struct {
    int code;
    int number;
    const char *name;
    const char *text;
} all[] = {FIRN_ERRORS(COUNT_ONE)};
enum { ALL = sizeof all / sizeof all[0] };

static void every_code_has_name_and_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        assert_int_equal(all[i].code, all[i].number);
        assert_true(all[i].code < 0);
        assert_string_equal(firn_error_name(all[i].code), all[i].name);
        assert_string_equal(firn_strerror(all[i].code), all[i].text);
        assert_true(strlen(all[i].text) > 0);
    }
    assert_string_equal(firn_error_name(FIRN_EIO), "FIRN_EIO");
}

static void numbers_are_used_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        for (size_t j = i + 1; j < ALL; j++)
            assert_int_not_equal(all[i].number, all[j].number);
    }
}

static void strange_codes_are_named(void **state)
{
    (void)state;
    assert_string_equal(firn_strerror(0), "success");
    assert_string_equal(firn_error_name(0), "FIRN_OK");
    static const int strange[] = {1, -1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        assert_string_equal(firn_strerror(strange[i]), "unknown error");
        assert_string_equal(firn_error_name(strange[i]), "FIRN_E?");
    }
}

static void set_fills_and_keeps_errno(void **state)
{
    (void)state;
    struct firn_error err = {0};
    errno = ERANGE;
    int rc = firn_error_set(&err, FIRN_EIO, EIO, "%s: read at %d", "00.log", 4096);
    assert_int_equal(errno, ERANGE);
    assert_int_equal(rc, FIRN_EIO);
    assert_int_equal(err.code, FIRN_EIO);
    assert_int_equal(err.os_error, EIO);
    assert_string_equal(err.message, "00.log: read at 4096");
}

static void set_takes_null(void **state)
{
    (void)state;
    errno = ERANGE;
    assert_int_equal(firn_error_set(NULL, FIRN_ENOSPC, 0, "%d", 1), FIRN_ENOSPC);
    assert_int_equal(errno, ERANGE);
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    char text[2 * FIRN_ERROR_MESSAGE_SIZE];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    struct firn_error err;
    memset(&err, 'y', sizeof err);
    firn_error_set(&err, FIRN_EIO, 0, "%s", text);
    assert_int_equal(strlen(err.message), FIRN_ERROR_MESSAGE_SIZE - 1);
    assert_int_equal(strspn(err.message, "x"), FIRN_ERROR_MESSAGE_SIZE - 1);
}

static void set_may_use_its_own_message(void **state)
{
    (void)state;
    struct firn_error err = {0};
    firn_error_set(&err, FIRN_EIO, 0, "inner");
    firn_error_set(&err, FIRN_EPOISONED, 0, "outer (%s)", err.message);
    assert_string_equal(err.message, "outer (inner)");
}

static void wrap_puts_a_prefix(void **state)
{
    (void)state;
    struct firn_error err = {0};
    firn_error_set(&err, FIRN_EIO, 5, "read at 7");
    errno = ERANGE;
    error_wrap(&err, "%s/%d", "dir", 3);
    assert_int_equal(errno, ERANGE);
    assert_string_equal(err.message, "dir/3: read at 7");
    assert_int_equal(err.code, FIRN_EIO);
    assert_int_equal(err.os_error, 5);
    error_wrap(NULL, "%s", "nothing");
}

/* Prefixes of every length around the limit: never too long, always ended, always a prefix. */
static void wrap_cuts(void **state)
{
    (void)state;
    char prefix[FIRN_ERROR_MESSAGE_SIZE + 40];
    for (size_t n = FIRN_ERROR_MESSAGE_SIZE - 40; n < sizeof prefix; n++) {
        memset(prefix, 'p', n);
        prefix[n] = '\0';
        char whole[2 * FIRN_ERROR_MESSAGE_SIZE];
        snprintf(whole, sizeof whole, "%s: inner message", prefix);
        struct firn_error err = {0};
        firn_error_set(&err, FIRN_EIO, 0, "inner message");
        error_wrap(&err, "%s", prefix);
        size_t length = strlen(err.message);
        size_t want = strlen(whole) < sizeof err.message ? strlen(whole) : sizeof err.message - 1;
        assert_int_equal(length, want);
        assert_memory_equal(err.message, whole, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_name_and_text),
        cmocka_unit_test(numbers_are_used_once),
        cmocka_unit_test(strange_codes_are_named),
        cmocka_unit_test(set_fills_and_keeps_errno),
        cmocka_unit_test(set_takes_null),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(set_may_use_its_own_message),
        cmocka_unit_test(wrap_puts_a_prefix),
        cmocka_unit_test(wrap_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
