/* The least that a start can cost: what an engine must ask of the kernel for one container, in C and nothing else.
 *
 * Usage: floor LOWER DIRECTORY PROGRAM [ARG...]
 * Makes a write layer and cgroups with limits, clones with all namespaces, mounts what a container has, executes
 * the program on an overlay of LOWER, waits for it and removes everything. Exits as the program did.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP)

static char groups[2][64];
static char joins[2][160];

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        err(1, "%s", path);
    close(fd);
}

static void make_cgroups(void)
{
    static const char *const v1[2][3] = {
        {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "268435456"},
        {"/sys/fs/cgroup/pids", "pids.max", "512"},
    };
    char path[300];
    for (int i = 0; i < 2; i++) {
        if (access(v1[i][0], F_OK) < 0)
            continue;
        snprintf(groups[i], sizeof groups[i], "%s/pysup-floor-%d", v1[i][0], getpid());
        if (mkdir(groups[i], 0755) < 0)
            err(1, "%s", groups[i]);
        snprintf(path, sizeof path, "%s/%s", groups[i], v1[i][1]);
        put(path, v1[i][2]);
        snprintf(joins[i], sizeof joins[i], "%s/tasks", groups[i]);
    }
    if (!groups[0][0] && !groups[1][0]) { /* cgroup v2: the parent's controllers are the parent's business */
        snprintf(groups[0], sizeof groups[0], "/sys/fs/cgroup/pysup-floor-%d", getpid());
        if (mkdir(groups[0], 0755) < 0)
            err(1, "%s", groups[0]);
        snprintf(joins[0], sizeof joins[0], "%s/cgroup.procs", groups[0]);
    }
}

static void must_mount(const char *type, const char *target, unsigned long flags, const char *data)
{
    if (mount(type, target, type, flags, data) < 0)
        err(1, "mount %s on %s", type, target);
}

static void make_devices(void)
{
    static const struct { const char *name; int major, minor; } devices[] = {
        {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
    };
    char path[32];
    for (unsigned i = 0; i < sizeof devices / sizeof *devices; i++) {
        snprintf(path, sizeof path, "dev/%s", devices[i].name);
        if (mknod(path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)) < 0)
            err(1, "%s", path);
    }
    mkdir("dev/pts", 0755);
    mkdir("dev/shm", 01777);
    mkdir("dev/mqueue", 01777);
}

static void loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        err(1, "lo");
    close(fd);
}

static void run(const char *lower, const char *directory, char **argv)
{
    char data[1024], root[300];
    for (int i = 0; i < 2; i++)
        if (joins[i][0])
            put(joins[i], "0");
    setsid();
    snprintf(root, sizeof root, "%s/root", directory);
    snprintf(data, sizeof data, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, directory, directory);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        err(1, "private");
    must_mount("overlay", root, 0, data);
    if (chdir(root) < 0)
        err(1, "%s", root);
    must_mount("proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("tmpfs", "dev", MS_NOSUID, "mode=755,size=64k");
    make_devices();
    must_mount("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
    must_mount("tmpfs", "dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m");
    must_mount("mqueue", "dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("sysfs", "sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        err(1, "pivot_root");
    if (sethostname("floor", 5) < 0)
        err(1, "sethostname");
    loopback_up();
    execv(argv[0], argv);
    err(127, "%s", argv[0]);
}

static int drop(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

int main(int argc, char **argv)
{
    char path[300];
    int status;
    if (argc < 4)
        errx(2, "usage: floor LOWER DIRECTORY PROGRAM [ARG...]");
    const char *const parts[] = {"", "/upper", "/work", "/root"};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s%s", argv[2], parts[i]);
        if (mkdir(path, 0755) < 0)
            err(1, "%s", path);
    }
    make_cgroups();
    struct clone_args arguments = {.flags = NAMESPACES, .exit_signal = SIGCHLD};
    pid_t child = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child < 0)
        err(1, "clone3");
    if (child == 0)
        run(argv[1], argv[2], argv + 3);
    if (waitpid(child, &status, 0) < 0)
        err(1, "waitpid");
    for (int i = 0; i < 2; i++)
        if (groups[i][0])
            rmdir(groups[i]);
    nftw(argv[2], drop, 16, FTW_DEPTH | FTW_PHYS);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
