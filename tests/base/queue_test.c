/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <sched.h>
#include <stdlib.h>

#include "base/queue.h"
#include "threads.h"

struct number {
    struct queue_item item; /* first */
    unsigned producer;
    unsigned value;
};

static void items_come_in_order(void **state)
{
    (void)state;
    struct queue queue = {0};
    struct number numbers[10] = {0};
    assert_null(queue_take_all(&queue));
    assert_true(queue_empty(&queue));
    for (unsigned i = 0; i < 10; i++)
        assert_true(queue_push(&queue, &numbers[i].item) == (i == 0));
    assert_false(queue_empty(&queue));
    struct queue_item *item = queue_take_all(&queue);
    for (unsigned i = 0; i < 10; i++, item = item->next)
        assert_ptr_equal(item, &numbers[i].item);
    assert_null(item);
    assert_true(queue_empty(&queue));
    assert_true(queue_push(&queue, &numbers[0].item));
}

/* Every item arrives once, those of one producer in their order, with what was written before. */
enum { PRODUCERS = 4, EACH = 5000 };
struct crowd {
    struct queue queue;
    struct number numbers[PRODUCERS][EACH];
    unsigned arrived[PRODUCERS];
    unsigned batches; /* seen by the consumer */
    _Atomic unsigned told;
};

static void produce(struct crowd *crowd, unsigned producer)
{
    for (unsigned i = 0; i < EACH; i++) {
        struct number *number = &crowd->numbers[producer][i];
        number->producer = producer;
        number->value = i;
        if (queue_push(&crowd->queue, &number->item))
            atomic_fetch_add(&crowd->told, 1);
    }
}

static unsigned consume_batch(struct crowd *crowd)
{
    unsigned count = 0;
    struct queue_item *item = queue_take_all(&crowd->queue);
    crowd->batches += item != NULL;
    while (item != NULL) {
        struct number *number = (struct number *)(void *)item;
        item = item->next;
        THREAD_CHECK(number->value == crowd->arrived[number->producer]);
        crowd->arrived[number->producer]++;
        count++;
    }
    return count;
}

static void produce_or_consume(void *shared, unsigned number)
{
    struct crowd *crowd = shared;
    if (number > 0) {
        produce(crowd, number - 1);
        return;
    }
    unsigned left = PRODUCERS * EACH;
    while (left > 0) {
        unsigned count = consume_batch(crowd);
        left -= count;
        if (count == 0)
            sched_yield();
    }
}

static void many_producers(void **state)
{
    (void)state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    threads_run(1 + PRODUCERS, produce_or_consume, crowd);
    for (unsigned i = 0; i < PRODUCERS; i++)
        assert_int_equal(crowd->arrived[i], EACH);
    assert_true(queue_empty(&crowd->queue));
    assert_int_equal(crowd->told, crowd->batches);
    free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_in_order),
        cmocka_unit_test(many_producers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
