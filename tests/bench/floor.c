/* The physical limit that benchmarks are compared with.
   floor spawn N K   K processes start N programs /bin/true between them, one after the other; prints seconds
   floor stamp FILE  appends the monotonic time in ns: a job that says when it started */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void spawn(long count) {
    char *argv[] = {"/bin/true", NULL};
    for (long i = 0; i < count; i++) {
        pid_t pid;
        int status;
        if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) || waitpid(pid, &status, 0) < 0 || status) _exit(1);
    }
}

int main(int argc, char **argv) {
    long long began = now();
    if (argc == 3 && !strcmp(argv[1], "stamp")) {
        char line[32];
        int fd = open(argv[2], O_WRONLY | O_APPEND | O_CREAT, 0600), size = snprintf(line, sizeof line, "%lld\n", began);
        return fd < 0 || write(fd, line, size) != size;
    }
    if (argc != 4 || strcmp(argv[1], "spawn")) return 2;
    long count = atol(argv[2]), processes = atol(argv[3]);
    for (long i = 0; i < processes; i++)
        if (!fork()) {
            spawn(count / processes);
            _exit(0);
        }
    for (long i = 0; i < processes; i++) {
        int status;
        if (wait(&status) < 0 || status) return 1;
    }
    printf("%.6f\n", (now() - began) / 1e9);
    return 0;
}
