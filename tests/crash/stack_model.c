/* SPDX-License-Identifier: MIT */
#include "stack_model.h"

#include <stdlib.h>
#include <string.h>

#include "lib/prng.h"

enum { FEW = 40, SOME = 700, PAGES = 9000, MUCH = 24 * 1024, WRITES = 4, OWN_CODE = 77 };

/* One operation. */
struct work {
    struct firn_stack *stack;
    const struct content *before;
    struct content *after;
    struct prng prng;
    uint8_t *bytes, *found; /* what goes in, and comes out; as long as anything */
    const char *why;
    struct firn_error *err;
};

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* ---- content ---- */

void content_done(struct content *content)
{
    free(content->bytes);
    *content = (struct content){0};
}

void content_copy(const struct content *from, struct content *to)
{
    to->length = from->length;
    to->bytes = must(malloc((size_t)from->length + 1));
    if (from->length)
        memcpy(to->bytes, from->bytes, (size_t)from->length);
}

bool content_equals(const struct content *content, const uint8_t *bytes, uint64_t length)
{
    return length == content->length &&
           (length == 0 || memcmp(bytes, content->bytes, (size_t)length) == 0);
}

uint64_t content_digest(const struct content *content)
{
    uint64_t hash = content->length;
    for (uint64_t i = 0; i < content->length; i++) {
        hash = (hash ^ content->bytes[i]) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 29;
    }
    return hash;
}

static void resize(struct content *content, uint64_t length)
{
    content->bytes = must(realloc(content->bytes, (size_t)length + 1));
    if (length > content->length)
        memset(content->bytes + content->length, 0, (size_t)(length - content->length));
    content->length = length;
}

static void append(struct content *content, const uint8_t *bytes, uint64_t size)
{
    uint64_t at = content->length;
    resize(content, at + size);
    if (size)
        memcpy(content->bytes + at, bytes, (size_t)size);
}

/* ---- choices ---- */

static uint64_t up_to(struct work *work, uint64_t most)
{
    return prng_below(&work->prng, most + 1);
}

/* So many that are there. */
static uint64_t part(struct work *work, uint64_t most)
{
    uint64_t length = work->after->length;
    return length == 0 ? 0 : up_to(work, length < most ? length : most);
}

/* A place with so many bytes behind it. */
static uint64_t place(struct work *work, uint64_t size)
{
    return up_to(work, work->after->length - size);
}

static void expect(struct work *work, bool good, const char *what)
{
    if (!good && !work->why)
        work->why = what;
}

/* What came out is what the last bytes, or those at `at`, were. */
static void expect_old(struct work *work, int rc, uint64_t at, uint64_t size)
{
    expect(work,
           rc < 0 || size == 0 || memcmp(work->found, work->before->bytes + at, (size_t)size) == 0,
           "the bytes that came out are others");
}

/* ---- the end ---- */

static int push(struct work *work, uint64_t size)
{
    uint64_t offset = UINT64_MAX;
    append(work->after, work->bytes, size);
    int rc = firn_stack_push(work->stack, work->bytes, (size_t)size, &offset, work->err);
    expect(work, rc < 0 || offset == work->before->length, "pushed somewhere else");
    return rc;
}

static int extend(struct work *work, uint64_t size)
{
    uint64_t offset = UINT64_MAX;
    resize(work->after, work->before->length + size);
    int rc = firn_stack_extend(work->stack, size, &offset, work->err);
    expect(work, rc < 0 || offset == work->before->length, "extended somewhere else");
    return rc;
}

static int pop(struct work *work)
{
    uint64_t size = part(work, SOME);
    resize(work->after, work->before->length - size);
    int rc = firn_stack_pop(work->stack, work->found, (size_t)size, work->err);
    expect_old(work, rc, work->before->length - size, size);
    return rc;
}

static int discard(struct work *work)
{
    uint64_t size = part(work, SOME);
    resize(work->after, work->before->length - size);
    return firn_stack_discard(work->stack, size, work->err);
}

static int atrunc(struct work *work)
{
    uint64_t cut = part(work, SOME), size = up_to(work, SOME);
    resize(work->after, work->before->length - cut);
    append(work->after, work->bytes, size);
    return firn_stack_atrunc(work->stack, cut, work->bytes, (size_t)size, work->err);
}

static int splice(struct work *work)
{
    uint64_t cut = part(work, SOME), size = up_to(work, SOME);
    resize(work->after, work->before->length - cut);
    append(work->after, work->bytes, size);
    int rc = firn_stack_splice(work->stack, work->found, (size_t)cut, work->bytes, (size_t)size,
                               work->err);
    expect_old(work, rc, work->before->length - cut, cut);
    return rc;
}

static int try_extend(struct work *work, bool zeros)
{
    bool done = false;
    uint64_t size = up_to(work, FEW), length = work->before->length;
    append(work->after, work->bytes, size);
    if (zeros && size)
        memset(work->after->bytes + length, 0, (size_t)size);
    int rc = zeros ? firn_stack_try_extend_zeros(work->stack, length, size, &done, work->err)
                   : firn_stack_try_extend(work->stack, length, work->bytes, (size_t)size, &done,
                                           work->err);
    expect(work, rc < 0 || done, "the length is another one");
    return rc;
}

static int try_discard(struct work *work)
{
    bool done = false;
    uint64_t size = part(work, FEW);
    resize(work->after, work->before->length - size);
    int rc = firn_stack_try_discard(work->stack, work->before->length, size, &done, work->err);
    expect(work, rc < 0 || done, "the length is another one");
    return rc;
}

/* The tail backwards, and more, or less. */
struct turn {
    struct work *work;
    uint64_t size;
    bool end;
};

static int turn(void *arg, const void *tail, size_t size, const void **bytes, size_t *new_size)
{
    struct turn *it = arg;
    const struct content *before = it->work->before;
    const uint8_t *at = tail;
    expect(it->work, size == 0 || memcmp(tail, before->bytes + before->length - size, size) == 0,
           "another tail");
    for (size_t i = 0; i < size && i < it->size; i++)
        it->work->bytes[i] = at[size - 1 - i];
    *bytes = it->work->bytes;
    *new_size = (size_t)it->size;
    return it->end ? OWN_CODE : 0;
}

static int replace(struct work *work, bool end)
{
    uint64_t cut = part(work, FEW), at = work->before->length - cut;
    struct turn it = {work, up_to(work, FEW), end};
    for (uint64_t i = 0; i < cut && i < it.size; i++)
        work->found[i] = work->before->bytes[work->before->length - 1 - i];
    if (it.size > cut)
        memcpy(work->found + cut, work->bytes + cut, (size_t)(it.size - cut));
    if (!end) {
        resize(work->after, at);
        append(work->after, work->found, it.size);
    }
    int rc = firn_stack_replace(work->stack, (size_t)cut, turn, &it, work->err);
    if (!end || rc < 0)
        return rc;
    expect(work, rc == OWN_CODE && work->err->code == OWN_CODE, "the code of the callback");
    return 0;
}

/* ---- in place ---- */

static int set(struct work *work)
{
    uint64_t size = part(work, SOME), at = place(work, size);
    if (size)
        memcpy(work->after->bytes + at, work->bytes, (size_t)size);
    return firn_stack_set(work->stack, at, work->bytes, (size_t)size, work->err);
}

static int zero(struct work *work)
{
    uint64_t size = part(work, SOME), at = place(work, size);
    memset(work->after->bytes + at, 0, (size_t)size);
    return firn_stack_zero(work->stack, at, size, work->err);
}

static int swap(struct work *work)
{
    uint64_t size = part(work, FEW), at = place(work, size);
    if (size)
        memcpy(work->after->bytes + at, work->bytes, (size_t)size);
    int rc = firn_stack_swap(work->stack, at, work->bytes, work->found, (size_t)size, work->err);
    expect_old(work, rc, at, size);
    return rc;
}

static int cas(struct work *work)
{
    bool done = false;
    uint64_t size = part(work, FEW), at = place(work, size);
    if (size)
        memcpy(work->after->bytes + at, work->bytes, (size_t)size);
    const uint8_t *expected = work->before->length ? work->before->bytes + at : work->found;
    int rc = firn_stack_cas(work->stack, at, expected, work->bytes, (size_t)size, &done, work->err);
    expect(work, rc < 0 || done, "cas does not find what is there");
    return rc;
}

static int add_one(void *arg, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    (void)arg;
    for (size_t i = 0; i < size; i++)
        at[i]++;
    return 0;
}

static int process(struct work *work)
{
    uint64_t size = part(work, FEW), at = place(work, size);
    add_one(NULL, work->after->bytes + at, (size_t)size);
    return firn_stack_process(work->stack, at, (size_t)size, add_one, NULL, work->err);
}

/* ---- all at once ---- */

static int several(struct work *work)
{
    struct firn_stack_write writes[WRITES];
    uint64_t first = up_to(work, FEW), second = up_to(work, FEW), offset = UINT64_MAX;
    const struct iovec iov[] = {{work->bytes, (size_t)first},
                                {work->bytes + first, (size_t)second}};
    struct firn_stack_change change = {.cut = part(work, SOME),
                                       .append = iov,
                                       .append_count = 2,
                                       .append_zeros = up_to(work, FEW),
                                       .writes = writes,
                                       .write_count = WRITES};
    resize(work->after, work->before->length - change.cut);
    append(work->after, work->bytes, first + second);
    resize(work->after, work->after->length + change.append_zeros);
    for (int i = 0; i < WRITES; i++) {
        uint64_t size = part(work, 3 * FEW), at = place(work, size);
        const uint8_t *bytes = up_to(work, 2) == 0 ? NULL : work->bytes + 100 * (i + 1);
        writes[i] = (struct firn_stack_write){at, bytes, size};
        if (size && bytes)
            memcpy(work->after->bytes + at, bytes, (size_t)size);
        else
            memset(work->after->bytes + at, 0, (size_t)size);
    }
    int rc = firn_stack_apply(work->stack, &change, &offset, work->err);
    expect(work, rc < 0 || offset == work->before->length - change.cut, "appended somewhere else");
    return rc;
}

/* ---- what changes nothing ---- */

static int try_other(struct work *work)
{
    bool done = true;
    int rc = firn_stack_try_extend(work->stack, work->before->length + 1, work->bytes, 10, &done,
                                   work->err);
    expect(work, rc < 0 || !done, "extended, with another length");
    return rc;
}

static int cas_other(struct work *work)
{
    bool done = true;
    uint64_t size = work->before->length < FEW ? work->before->length : FEW;
    if (size == 0)
        return 0;
    memcpy(work->found, work->before->bytes, (size_t)size);
    work->found[size - 1] ^= 1;
    int rc = firn_stack_cas(work->stack, 0, work->found, work->bytes, (size_t)size, &done,
                            work->err);
    expect(work, rc < 0 || !done, "exchanged, with other bytes");
    return rc;
}

static int pop_more(struct work *work)
{
    int rc = firn_stack_pop(work->stack, work->found, (size_t)work->before->length + 1, work->err);
    expect(work, rc < 0, "popped more than there is");
    return rc == FIRN_ERANGE ? 0 : rc;
}

/* ---- any of them ---- */

static int operate(struct work *work, char operation)
{
    switch (operation) {
    case 'p':
        return push(work, 1 + up_to(work, FEW));
    case 'P':
        return push(work, PAGES / 2 + up_to(work, PAGES / 2));
    case 'M':
        return push(work, MUCH);
    case 'x':
        return extend(work, up_to(work, SOME));
    case 'Z':
        return extend(work, (1 << 20) + up_to(work, PAGES));
    case 'o':
        return pop(work);
    case 'd':
        return discard(work);
    case 'a':
        return atrunc(work);
    case 'S':
        return splice(work);
    case 'e':
        return try_extend(work, false);
    case 'f':
        return try_extend(work, true);
    case 'D':
        return try_discard(work);
    case 'r':
        return replace(work, false);
    case 's':
        return set(work);
    case 'z':
        return zero(work);
    case 'w':
        return swap(work);
    case 'c':
        return cas(work);
    case 'R':
        return process(work);
    case 'm':
        return several(work);
    case 'E':
        return try_other(work);
    case 'C':
        return cas_other(work);
    case 'n':
        return pop_more(work);
    case 'N':
        return replace(work, true);
    default:
        abort();
    }
}

int stack_operate(struct firn_stack *stack, char operation, uint64_t number,
                  const struct content *before, struct content *after, const char **why,
                  struct firn_error *err)
{
    struct work work = {.stack = stack, .before = before, .after = after, .err = err};
    work.prng = prng_new(number << 8 | (uint8_t)operation);
    work.bytes = must(malloc(MUCH));
    work.found = must(malloc((size_t)before->length + MUCH));
    prng_fill(&work.prng, work.bytes, operation == 'M' ? MUCH : PAGES);
    content_copy(before, after);
    int rc = operate(&work, operation);
    free(work.bytes);
    free(work.found);
    *why = work.why;
    return rc;
}
