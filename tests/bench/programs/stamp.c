/* Writes the time of its first instruction (CLOCK_MONOTONIC, ns) into the FIFO that it is given, and stays. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    char line[32];
    clock_gettime(CLOCK_MONOTONIC, &now);
    int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;
    int length = snprintf(line, sizeof line, "%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    if (fd < 0 || write(fd, line, length) != length)
        return 1;
    close(fd);
    for (;;)
        pause();
}
