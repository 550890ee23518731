/*
 * nginx-mesh-pid1: the first process of the sidecar container.
 *
 *   nginx-mesh-pid1 COMMAND [ARGUMENT]...
 *
 * It runs COMMAND (the agent) and starts it again when it dies. NGINX, which the agent starts as a daemon, becomes a
 * child of this process and is only reaped: it serves on while the agent is away. Written in C because it holds about
 * 100 KiB where a Python parent would hold 10 MiB in every pod.
 *
 *   SIGTERM, SIGINT   passed on to COMMAND; from then on its end is the end of the container
 *   COMMAND exits 0   this process exits 0: the work is done
 *   COMMAND exits 2   this process exits 2: the settings are wrong, a new start would not help
 *   otherwise         COMMAND is started again after 0.1 s, doubling to 5 s, back to 0.1 s once it has lived 30 s
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_SETTINGS = 2,
    EXIT_NO_COMMAND = 127,
    FIRST_WAIT_MS = 100,
    LAST_WAIT_MS = 5000,
    STABLE_MS = 30000,
};

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

static pid_t start(char **command, const sigset_t *original)
{
    pid_t child = fork();

    if (child == 0) {
        /* An agent that outlived this process would fight with the next container over the state directory. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigprocmask(SIG_SETMASK, original, NULL);
        execvp(command[0], command);
        fprintf(stderr, "nginx-mesh-pid1: cannot run %s: %s\n", command[0], strerror(errno));
        _exit(EXIT_NO_COMMAND);
    }
    if (child < 0) {
        fprintf(stderr, "nginx-mesh-pid1: cannot fork: %s\n", strerror(errno));
    }
    return child;
}

/* Reap every child that has ended; returns whether *agent* was among them, and its status. */
static int reap(pid_t agent, int *status)
{
    int found = 0, one;
    pid_t child;

    while ((child = waitpid(-1, &one, WNOHANG)) > 0) {
        if (child == agent) {
            found = 1;
            *status = one;
        }
    }
    return found;
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    sigset_t watched, original;
    pid_t agent = 0;
    int stopping = 0, status = 0;
    long started = 0, wait_ms = FIRST_WAIT_MS, due = now_ms();

    if (argc < 2) {
        fprintf(stderr, "usage: nginx-mesh-pid1 COMMAND [ARGUMENT]...\n");
        return EXIT_SETTINGS;
    }
    /* Orphans come here also where the pod shares one process namespace and another process has number 1. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigprocmask(SIG_BLOCK, &watched, &original);

    for (;;) {
        struct timespec limit = {.tv_sec = 3600};
        int received;

        if (agent <= 0) {
            long left = due - now_ms();

            if (stopping) {
                return exit_code(status);
            }
            if (left <= 0) {
                started = now_ms();
                agent = start(&argv[1], &original);
                due = started + wait_ms;
                continue;
            }
            limit.tv_sec = left / 1000;
            limit.tv_nsec = (left % 1000) * 1000000L;
        }
        received = sigtimedwait(&watched, NULL, &limit);
        if (received == SIGTERM || received == SIGINT) {
            stopping = 1;
            if (agent > 0) {
                kill(agent, received);
            }
        }
        if (reap(agent, &status)) {
            int code = exit_code(status);

            agent = 0;
            if (stopping || code == 0 || code == EXIT_SETTINGS || code == EXIT_NO_COMMAND) {
                return code;
            }
            wait_ms = now_ms() - started >= STABLE_MS ? FIRST_WAIT_MS : wait_ms * 2;
            wait_ms = wait_ms > LAST_WAIT_MS ? LAST_WAIT_MS : wait_ms;
            due = now_ms() + wait_ms;
            fprintf(stderr, "nginx-mesh-pid1: the agent ended with %d, starting it again in %ld ms\n", code, wait_ms);
        }
    }
}
