/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <firn/version.h>

static void library_and_headers_agree(void **state)
{
    (void)state;
    assert_string_equal(firn_version(), FIRN_VERSION_STRING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(library_and_headers_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
