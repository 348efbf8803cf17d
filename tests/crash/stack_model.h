/* SPDX-License-Identifier: MIT */
/*
 * What a stack must hold, and every change that can be made of it, by letter: done to a stack, and
 * to bytes in memory. What a call gives back is compared at once.
 *
 * At the end: p push few bytes, P push pages; x extend, Z by a MiB; o pop; d discard; a atrunc; S
 * splice, which makes it longer or shorter; e try_extend; f try_extend_zeros; D try_discard; r
 * replace. In place: s set; z zero; w swap; c cas; R process. All at once: m cut, append, and
 * several ranges that overlap. M as much as a journal of 64 KiB takes. What changes nothing: E a
 * try_extend with another length; C a cas with other bytes; n pop of more than there is; N a
 * replace that is ended.
 */
#ifndef TESTS_CRASH_STACK_MODEL_H
#define TESTS_CRASH_STACK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/stack.h>

#define STACK_OPERATIONS "pPxodaSefDrszwcRmECnN"

struct content {
    uint8_t *bytes;
    uint64_t length;
};

void content_done(struct content *content);
void content_copy(const struct content *from, struct content *to);
bool content_equals(const struct content *content, const uint8_t *bytes, uint64_t length);
uint64_t content_digest(const struct content *content);

/*
 * Does the operation to the stack, which holds `before`; `number` decides on its size, place and
 * bytes. `after` becomes, also where the call fails, what it holds if it succeeds. 0, or what the
 * call returned; *why says what else was wrong, or is NULL.
 */
int stack_operate(struct firn_stack *stack, char operation, uint64_t number,
                  const struct content *before, struct content *after, const char **why,
                  struct firn_error *err);

#endif
