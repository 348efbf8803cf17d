/* SPDX-License-Identifier: MIT */
/* Locks between processes: who holds them, and what ends them. */
#include "posix_world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/platform.h"

/* ---- other processes that do as they are told ------------------------------------------------ */

enum command {
    LOCK,   /* takes the lock */
    UNLOCK, /* leaves it, or what it inherited of it */
    FORK,   /* forks a child, which is told through the second channel */
    COPY,   /* reads all files of the lock, as a backup would */
    RECORD, /* sets the record lock alone */
    EXEC,   /* becomes another program; no answer */
    PING,
};

struct answer {
    int rc;
    int64_t value; /* the lock's holder, or the child's id */
};

/* A process, and the child that it may fork. */
struct helper {
    pid_t pid;
    int channel;
    int child_channel;
};

struct task {
    const char *path;
    struct firn_lock *lock;
    int channel;
    int child_channel;
};

static void read_all_of(const char *path, const char *suffix)
{
    char name[512];
    char byte[64];
    (void)snprintf(name, sizeof name, "%s%s", path, suffix);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    while (read(fd, byte, sizeof byte) > 0)
        continue;
    (void)close(fd);
}

static int set_record_lock(const char *path)
{
    char name[512];
    struct flock record = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)snprintf(name, sizeof name, "%s.pid", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fcntl(fd, F_SETLK, &record);
}

static struct answer obey(struct task *task, enum command command)
{
    struct firn_disk *disk = firn_disk_posix();
    struct answer answer = {0};
    switch (command) {
    case LOCK:
        answer.rc = disk_lock(disk, task->path, &task->lock, &answer.value, NULL);
        break;
    case UNLOCK:
        disk_unlock(disk, task->lock);
        task->lock = NULL;
        break;
    case FORK:
        answer.value = fork();
        if (answer.value == 0) {
            (void)close(task->channel);
            task->channel = task->child_channel;
            answer.value = getpid();
        }
        break;
    case COPY:
        read_all_of(task->path, "");
        read_all_of(task->path, ".pid");
        break;
    case RECORD:
        answer.rc = set_record_lock(task->path);
        break;
    case EXEC:
        (void)execl("/bin/sleep", "sleep", "1000", (char *)NULL);
        _exit(2);
    case PING:
        break;
    }
    return answer;
}

/* In a child. Ends when nobody can tell it anything any more. */
static void serve(struct task *task)
{
    unsigned char command = 0;
    while (read(task->channel, &command, 1) == 1) {
        struct answer answer = obey(task, (enum command)command);
        if (write(task->channel, &answer, sizeof answer) != sizeof answer)
            break;
    }
    _exit(0);
}

static struct helper start(const char *path)
{
    int first[2];
    int second[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(first[i], F_SETFD, FD_CLOEXEC), 0);
        assert_int_equal(fcntl(second[i], F_SETFD, FD_CLOEXEC), 0);
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(first[0]);
        (void)close(second[0]);
        serve(&(struct task){.path = path, .channel = first[1], .child_channel = second[1]});
    }
    (void)close(first[1]);
    (void)close(second[1]);
    return (struct helper){.pid = pid, .channel = first[0], .child_channel = second[0]};
}

static struct answer tell_to(int channel, enum command command)
{
    struct answer answer = {.rc = 4711};
    unsigned char byte = (unsigned char)command;
    assert_int_equal(write(channel, &byte, 1), 1);
    assert_int_equal(recv(channel, &answer, sizeof answer, MSG_WAITALL), sizeof answer);
    return answer;
}

static struct answer tell(const struct helper *helper, enum command command)
{
    return tell_to(helper->channel, command);
}

static struct answer tell_child(const struct helper *helper, enum command command)
{
    return tell_to(helper->child_channel, command);
}

/* Forks it; the child's own answer to the command goes to its own channel. */
static pid_t fork_child(const struct helper *helper)
{
    struct answer hello;
    struct answer answer = tell(helper, FORK);
    assert_int_equal(recv(helper->child_channel, &hello, sizeof hello, MSG_WAITALL), sizeof hello);
    assert_int_equal(hello.value, answer.value);
    return (pid_t)answer.value;
}

static void kill_and_reap(const struct helper *helper)
{
    assert_int_equal(kill(helper->pid, SIGKILL), 0);
    assert_int_equal(waitpid(helper->pid, NULL, 0), helper->pid);
}

/* Ends the helper, if it was not killed, and its child. */
static void stop(const struct helper *helper)
{
    (void)close(helper->channel);
    (void)close(helper->child_channel);
    (void)waitpid(helper->pid, NULL, 0);
}

static void expect_locked_by(struct contract_world *w, const char *path, int64_t process)
{
    struct firn_lock *lock = NULL;
    int64_t holder = -1;
    char number[32];
    FAILS(w, FIRN_ELOCKED, disk_lock(w->disk, path, &lock, &holder, &w->err));
    assert_null(lock);
    assert_int_equal(holder, process);
    (void)snprintf(number, sizeof number, "%lld", (long long)process);
    assert_non_null(strstr(w->err.message, number));
    assert_non_null(strstr(w->err.message, path));
}

static struct firn_lock *take(struct contract_world *w, const char *path)
{
    struct firn_lock *lock = NULL;
    OK(w, disk_lock(w->disk, path, &lock, NULL, &w->err));
    return lock;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void another_process_is_locked_out_and_told(struct contract_world *w)
{
    const char *path = contract_path(w, "LOCK");
    struct helper helper = start(path);
    assert_int_equal(tell(&helper, LOCK).rc, 0);
    expect_locked_by(w, path, helper.pid);
    expect_locked_by(w, path, helper.pid);
    assert_int_equal(tell(&helper, UNLOCK).rc, 0);
    struct firn_lock *lock = take(w, path);
    struct answer answer = tell(&helper, LOCK);
    assert_int_equal(answer.rc, FIRN_ELOCKED);
    assert_int_equal(answer.value, getpid());
    disk_unlock(w->disk, lock);
    assert_int_equal(tell(&helper, LOCK).rc, 0);
    stop(&helper); /* ends without unlock */
    disk_unlock(w->disk, take(w, path));
}

static void a_killed_process_holds_nothing(struct contract_world *w)
{
    const char *path = contract_path(w, "LOCK");
    for (int i = 0; i < 5; i++) {
        struct helper helper = start(path);
        assert_int_equal(tell(&helper, LOCK).rc, 0);
        kill_and_reap(&helper);
        disk_unlock(w->disk, take(w, path));
        stop(&helper);
    }
}

static void a_child_of_the_dead_holds_nothing(struct contract_world *w)
{
    const char *path = contract_path(w, "LOCK");
    struct helper helper = start(path);
    assert_int_equal(tell(&helper, LOCK).rc, 0);
    pid_t orphan = fork_child(&helper);
    expect_locked_by(w, path, helper.pid);
    kill_and_reap(&helper);
    assert_int_equal(tell_child(&helper, PING).rc, 0);
    struct firn_lock *lock = take(w, path);
    expect_locked_by(w, path, getpid());
    struct answer answer = tell_child(&helper, LOCK);
    assert_int_equal(answer.rc, FIRN_ELOCKED);
    assert_int_equal(answer.value, getpid());
    disk_unlock(w->disk, lock);
    assert_int_equal(tell_child(&helper, LOCK).rc, 0); /* as good as any other */
    expect_locked_by(w, path, orphan);
    assert_int_equal(tell_child(&helper, UNLOCK).rc, 0);
    disk_unlock(w->disk, take(w, path));
    stop(&helper);
}

static void a_child_neither_has_nor_ends_the_lock(struct contract_world *w)
{
    const char *path = contract_path(w, "LOCK");
    struct helper helper = start(path);
    assert_int_equal(tell(&helper, LOCK).rc, 0);
    (void)fork_child(&helper);
    struct answer answer = tell_child(&helper, LOCK);
    assert_int_equal(answer.rc, FIRN_ELOCKED);
    assert_int_equal(answer.value, helper.pid);
    assert_int_equal(tell_child(&helper, UNLOCK).rc, 0);
    expect_locked_by(w, path, helper.pid);
    assert_int_equal(tell(&helper, LOCK).rc, FIRN_ELOCKED);
    assert_int_equal(tell(&helper, UNLOCK).rc, 0);
    disk_unlock(w->disk, take(w, path));
    stop(&helper);
}

/* Its parent has not asked for its status yet: for the system the process is still there. */
static void a_zombie_holds_nothing(struct contract_world *w)
{
    const char *path = contract_path(w, "LOCK");
    siginfo_t info;
    struct helper helper = start(path);
    assert_int_equal(tell(&helper, LOCK).rc, 0);
    (void)fork_child(&helper);
    assert_true(disk_process_alive(w->disk, helper.pid));
    assert_int_equal(kill(helper.pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)helper.pid, &info, WEXITED | WNOWAIT), 0);
    disk_unlock(w->disk, take(w, path));
    if (DISK_LINUX)
        assert_false(disk_process_alive(w->disk, helper.pid));
    assert_int_equal(tell_child(&helper, PING).rc, 0);
    stop(&helper);
}

/* Closing any descriptor of a file ends the process's record locks on it. */
static void reading_the_files_does_not_end_the_lock(struct contract_world *w)
{
    const char *path = contract_path(w, "LOCK");
    if (!DISK_LINUX) {
        print_message("skipped: needs /proc\n");
        return;
    }
    struct helper helper = start(path);
    assert_int_equal(tell(&helper, LOCK).rc, 0);
    assert_int_equal(tell(&helper, COPY).rc, 0);
    expect_locked_by(w, path, helper.pid);
    assert_int_equal(tell(&helper, LOCK).rc, FIRN_ELOCKED);
    kill_and_reap(&helper);
    disk_unlock(w->disk, take(w, path));
    stop(&helper);
}

static void the_record_lock_alone_is_respected(struct contract_world *w)
{
    const char *path = contract_path(w, "LOCK");
    struct helper helper = start(path);
    assert_int_equal(tell(&helper, RECORD).rc, 0);
    expect_locked_by(w, path, helper.pid);
    kill_and_reap(&helper);
    disk_unlock(w->disk, take(w, path));
    stop(&helper);
}

static void locks_end_with_exec(struct contract_world *w)
{
    const char *path = contract_path(w, "LOCK");
    struct helper helper = start(path);
    unsigned char command = EXEC;
    assert_int_equal(tell(&helper, LOCK).rc, 0);
    assert_int_equal(write(helper.channel, &command, 1), 1);
    assert_int_equal(read(helper.channel, &command, 1), 0); /* closed: it is another program now */
    disk_unlock(w->disk, take(w, path));
    kill_and_reap(&helper);
    stop(&helper);
}

static void a_false_claim_is_not_believed(struct contract_world *w)
{
    char own[64];
    const char *const claims[] = {
        "",      "x",
        "1 0",   own,
        "-1 -1", "99999999999999999999 7",
        "0 0",   "111111111111111111111111111111111111111111111111111111111111"};
    (void)snprintf(own, sizeof own, "%d 0", (int)getpid());
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        const char *path = contract_path(w, "LOCK");
        contract_make(w, "LOCK", claims[i]);
        contract_make(w, "LOCK.pid", claims[i]);
        struct firn_lock *lock = take(w, path);
        expect_locked_by(w, path, getpid());
        disk_unlock(w->disk, lock);
        OK(w, disk_remove(w->disk, path, &w->err));
        assert_false(contract_exists(w, "LOCK.pid"));
    }
}

static void a_guard_that_is_never_left_is_reported(struct contract_world *w)
{
    struct firn_lock *lock = NULL;
    int64_t holder = -1;
    const char *path = contract_path(w, "LOCK");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    FAILS(w, FIRN_ELOCKED, disk_lock(w->disk, path, &lock, &holder, &w->err));
    assert_int_equal(holder, 0);
    (void)close(fd);
    disk_unlock(w->disk, take(w, path));
}

static void unlock_leaves_other_files_alone(struct contract_world *w)
{
    int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OK(w, disk_make_dir(w->disk, contract_path(w, "other"), &w->err));
    contract_make(w, "other/LOCK", "other");
    contract_make(w, "other/LOCK.pid", "other");
    assert_int_equal(chdir(w->root), 0);
    struct firn_lock *lock = take(w, "LOCK");
    assert_int_equal(chdir("other"), 0);
    disk_unlock(w->disk, lock);
    assert_int_equal(fchdir(back), 0);
    (void)close(back);
    contract_expect_file(w, "other/LOCK", "other");
    contract_expect_file(w, "other/LOCK.pid", "other");
}

/* ---- many at once ---------------------------------------------------------------------------- */

enum { PROCESSES = 4, THREADS_MOST = 2, TURNS = 40 };

/* In memory that all processes share. */
struct field {
    atomic_int inside;
    atomic_int taken;
    atomic_int failures;
    int threads;
    bool destroying; /* who has the lock removes its file */
    char path[512];
};

/* With the lock: long enough for others to get into one that does not lock. */
static void stay(struct field *field)
{
    if (atomic_fetch_add(&field->inside, 1) != 0 || access(field->path, F_OK) != 0)
        atomic_fetch_add(&field->failures, 1);
    disk_sleep(firn_disk_posix(), 100000);
    atomic_fetch_add(&field->taken, 1);
    if (field->destroying)
        (void)unlink(field->path);
    atomic_fetch_sub(&field->inside, 1);
}

static void *take_turns(void *arg)
{
    struct field *field = arg;
    struct firn_disk *disk = firn_disk_posix();
    for (int turns = 0; turns < TURNS;) {
        struct firn_lock *lock = NULL;
        int rc = disk_lock(disk, field->path, &lock, NULL, NULL);
        if (rc == 0) {
            stay(field);
            disk_unlock(disk, lock);
            turns++;
        } else if (rc != FIRN_ELOCKED) {
            atomic_fetch_add(&field->failures, 1);
            turns++;
        }
    }
    return NULL;
}

static void take_turns_in_threads(struct field *field)
{
    pthread_t threads[THREADS_MOST];
    for (int i = 0; i < field->threads; i++) {
        if (pthread_create(&threads[i], NULL, take_turns, field) != 0)
            _exit(1);
    }
    for (int i = 0; i < field->threads; i++)
        (void)pthread_join(threads[i], NULL);
    _exit(0);
}

static void compete(struct contract_world *w, int threads, bool destroying)
{
    pid_t children[PROCESSES];
    struct field *field = mmap(NULL, sizeof *field, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(field, MAP_FAILED);
    field->threads = threads;
    field->destroying = destroying;
    (void)snprintf(field->path, sizeof field->path, "%s", contract_path(w, "LOCK"));
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            take_turns_in_threads(field);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(field->failures, 0);
    assert_int_equal(field->taken, PROCESSES * threads * TURNS);
    assert_int_equal(munmap(field, sizeof *field), 0);
    assert_false(contract_exists(w, "LOCK.pid"));
}

static void one_of_many_has_the_lock(struct contract_world *w)
{
    compete(w, THREADS_MOST, false);
}

static void one_of_many_has_the_lock_while_files_go_away(struct contract_world *w)
{
    compete(w, 1, true);
}

static const struct contract_case cases[] = {
    {"another process is locked out and told", another_process_is_locked_out_and_told, 0},
    {"a killed process holds nothing", a_killed_process_holds_nothing, 0},
    {"a child of the dead holds nothing", a_child_of_the_dead_holds_nothing, 0},
    {"a child neither has nor ends the lock", a_child_neither_has_nor_ends_the_lock, 0},
    {"a zombie holds nothing", a_zombie_holds_nothing, 0},
    {"reading the files does not end the lock", reading_the_files_does_not_end_the_lock, 0},
    {"the record lock alone is respected", the_record_lock_alone_is_respected, 0},
    {"locks end with exec", locks_end_with_exec, 0},
    {"a false claim is not believed", a_false_claim_is_not_believed, 0},
    {"a guard that is never left is reported", a_guard_that_is_never_left_is_reported, 0},
    {"unlock leaves other files alone", unlock_leaves_other_files_alone, 0},
    {"one of many has the lock", one_of_many_has_the_lock, 0},
    {"one of many has the lock while files go away", one_of_many_has_the_lock_while_files_go_away,
     0},
    {NULL, NULL, 0},
};

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    return contract_run_cases(&posix_world, cases);
}
