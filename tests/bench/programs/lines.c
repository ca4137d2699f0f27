/* Writes N megabytes of 100-byte lines to stdout, 64 KiB or less at a time. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 100
#define BLOCK (655 * LINE)

int main(int argc, char **argv)
{
    static char block[BLOCK];
    long long left = argc == 2 ? atoll(argv[1]) * 1000000LL : 0;
    memset(block, 'x', sizeof block);
    for (int end = LINE - 1; end < BLOCK; end += LINE)
        block[end] = '\n';
    while (left > 0) {
        ssize_t written = write(1, block, left < BLOCK ? left : BLOCK);
        if (written < 0)
            return 1;
        left -= written;
    }
    return 0;
}
