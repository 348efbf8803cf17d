/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "faulty/sim.h"

void faulty_enter(struct firn_faulty *sim)
{
    (void)pthread_mutex_lock(&sim->mutex);
}

void faulty_leave(struct firn_faulty *sim)
{
    (void)pthread_mutex_unlock(&sim->mutex);
}

int faulty_os_error(int code)
{
    static const struct {
        int code;
        int os_error;
    } codes[] = {
        {FIRN_EINVAL, EINVAL},   {FIRN_ENOMEM, ENOMEM},   {FIRN_EIO, EIO},
        {FIRN_ENOSPC, ENOSPC},   {FIRN_ENOENT, ENOENT},   {FIRN_EEXIST, EEXIST},
        {FIRN_EACCES, EACCES},   {FIRN_EAGAIN, EAGAIN},   {FIRN_EBUSY, EBUSY},
        {FIRN_EREADONLY, EROFS}, {FIRN_ENOTDIR, ENOTDIR}, {FIRN_EMFILE, EMFILE},
        {FIRN_ETOOBIG, EFBIG},   {FIRN_ENOTSUP, ENOTSUP},
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == code) {
            return codes[i].os_error;
        }
    }
    return 0;
}

static int power_lost(const struct faulty_call *call, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EIO, EIO, "%s: %s failed: power lost", call->path,
                          firn_faulty_op_name(call->op));
}

int faulty_call_fail(const struct faulty_call *call, int code, struct firn_error *err)
{
    return firn_error_set(err, code, faulty_os_error(code), "%s: %s failed: %s", call->path,
                          firn_faulty_op_name(call->op), firn_strerror(code));
}

int faulty_call_fault(const struct faulty_call *call, struct firn_error *err)
{
    int code = call->fault.code != 0 ? call->fault.code : FIRN_EIO;
    int os_error = call->fault.os_error != 0 ? call->fault.os_error : faulty_os_error(code);
    return firn_error_set(err, code, os_error, "%s: %s failed: %s (fault %d)", call->path,
                          firn_faulty_op_name(call->op), firn_strerror(code), call->fault_id);
}

int faulty_call_begin(struct firn_faulty *sim, struct faulty_call *call, struct firn_error *err)
{
    call->operation = ++sim->operations;
    sim->real += sim->options.operation_ns;
    sim->monotonic += sim->options.operation_ns;
    if (sim->off) {
        return power_lost(call, err);
    }
    faulty_plan_apply(sim, call);
    const unsigned partial = FIRN_FAULTY_READ | FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE;
    if (call->hit && call->fault.what == FIRN_FAULTY_FAIL && ((unsigned)call->op & partial) == 0) {
        int rc = faulty_call_middle(sim, call, err);
        return rc != 0 ? rc : faulty_call_fault(call, err);
    }
    return 0;
}

void faulty_call_mutate(struct firn_faulty *sim, struct faulty_call *call)
{
    call->mutation = ++sim->mutations;
    call->dying = sim->crash_at != 0 && sim->mutations >= sim->crash_at;
}

int faulty_call_survive(struct firn_faulty *sim, struct faulty_call *call, struct firn_error *err)
{
    if (!call->dying) {
        return 0;
    }
    faulty_power_off(sim);
    return power_lost(call, err);
}

int faulty_call_middle(struct firn_faulty *sim, struct faulty_call *call, struct firn_error *err)
{
    const unsigned syncs = FIRN_FAULTY_SYNC | FIRN_FAULTY_WRITE_DURABLE;
    if (((unsigned)call->op & syncs) == 0 && call->really_ns == 0 && call->call_count == 0) {
        return 0;
    }
    struct firn_faulty_event event = {
        .op = call->op,
        .path = call->path,
        .offset = call->offset,
        .length = call->length,
        .operation = call->operation,
        .mutation = call->mutation,
    };
    faulty_leave(sim);
    if (call->really_ns > 0) {
        struct firn_disk *machine = firn_disk_posix();
        machine->ops->sleep(machine, call->really_ns);
    }
    for (size_t i = 0; i < call->call_count; i++) {
        call->calls[i](call->args[i], sim, &event);
    }
    faulty_enter(sim);
    return sim->off ? power_lost(call, err) : 0;
}

int faulty_call_end(struct firn_faulty *sim, const struct faulty_call *call, int rc)
{
    faulty_trace_add(&sim->trace, call, rc);
    faulty_leave(sim);
    return rc;
}
