/* SPDX-License-Identifier: MIT */
/* The time that appends give: that of the clock, to the millisecond, however often it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <firn/faulty.h>

#include "log/log_private.h"

enum { LASTS_MS = 50 };

static int64_t clock_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void agrees_with_the_clock(void **state)
{
    (void)state;
    struct firn_log log = {.disk = firn_disk_posix()};
    int64_t before, end = clock_ms() + LASTS_MS;
    do {
        before = clock_ms();
        int64_t now = log_now(&log);
        int64_t after = clock_ms();
        if (now < before || now > after)
            fail_msg("%lld is not within %lld and %lld", (long long)now, (long long)before,
                     (long long)after);
    } while (before < end);
}

static void simulated_clocks_are_asked(void **state)
{
    (void)state;
    struct firn_faulty *faulty;
    assert_int_equal(firn_faulty_new(NULL, &faulty, NULL), 0);
    struct firn_log log = {.disk = firn_faulty_disk(faulty)};
    for (int i = 0; i < 1000; i++) {
        int64_t before = log_now(&log);
        firn_faulty_advance(faulty, 1000000);
        assert_true(log_now(&log) > before);
    }
    firn_faulty_free(faulty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_clock),
        cmocka_unit_test(simulated_clocks_are_asked),
    };
    return cmocka_run_group_tests_name("now", tests, NULL, NULL);
}
