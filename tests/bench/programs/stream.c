/* Bytes over TCP: `stream PORT` takes connections one after the other and answers each with the count of bytes that
   came; `stream ADDRESS PORT MILLISECONDS` sends for that long and prints MB/s as the other end counted them. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (128 * 1024)

static char block[BLOCK];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int serve(int sock)
{
    for (;;) {
        long long count = 0;
        ssize_t got;
        int client = accept(sock, NULL, NULL);
        if (client < 0)
            return 1;
        while ((got = read(client, block, BLOCK)) > 0)
            count += got;
        if (write(client, &count, sizeof count) < 0)
            perror("stream");
        close(client);
    }
}

static int send_for(int sock, double seconds)
{
    long long count = 0;
    double begin = now(), end = begin + seconds;
    while (now() < end)
        if (write(sock, block, BLOCK) < 0)
            return 1;
    shutdown(sock, SHUT_WR);
    if (read(sock, &count, sizeof count) != sizeof count)
        return 1;
    printf("%.1f\n", count / 1e6 / (now() - begin));
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int sock = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (sock < 0 || (argc != 2 && argc != 4))
        return 2;
    address.sin_port = htons(atoi(argv[argc == 2 ? 1 : 2]));
    if (argc == 4) {
        inet_pton(AF_INET, argv[1], &address.sin_addr);
        if (connect(sock, (struct sockaddr *)&address, sizeof address))
            return 1;
        return send_for(sock, atoi(argv[3]) / 1e3);
    }
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(sock, (struct sockaddr *)&address, sizeof address) || listen(sock, 8))
        return 1;
    return serve(sock);
}
