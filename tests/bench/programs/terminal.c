/* What reading a terminal costs by itself: runs a program on a pty of its own and drops what it writes.
 *
 * Usage: terminal PROGRAM [ARG...]
 * Prints the CPU seconds that this process took for each GB, in user mode and in the kernel. The kernel hands a
 * terminal's bytes over in pieces of 64 (kernel_buf of iterate_tty_read, drivers/tty/tty_io.c), at most a page a call,
 * and wakes the writer each time: larger reads, splice(2), a terminal without OPOST and longer waits change nothing of
 * what the reader needs.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char dropped[1 << 16];
    double total = 0;
    struct rusage used;
    ssize_t count;
    int master, status;
    if (argc < 2)
        errx(2, "usage: terminal PROGRAM [ARG...]");
    pid_t child = forkpty(&master, NULL, NULL, NULL);
    if (child < 0)
        err(1, "forkpty");
    if (child == 0) {
        execvp(argv[1], argv + 1);
        err(127, "%s", argv[1]);
    }
    while ((count = read(master, dropped, sizeof dropped)) > 0) /* at the end: EIO */
        total += count;
    getrusage(RUSAGE_SELF, &used);
    if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
        errx(1, "%s failed", argv[1]);
    printf("%.3f %.3f\n", (used.ru_utime.tv_sec + used.ru_utime.tv_usec / 1e6) / total * 1e9,
           (used.ru_stime.tv_sec + used.ru_stime.tv_usec / 1e6) / total * 1e9);
    return 0;
}
