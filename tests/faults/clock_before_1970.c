// Preloaded into a process of the function: the machine's clock is an hour before 1970. Other clocks are right.
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (clock == CLOCK_REALTIME) {
        time->tv_sec = -3600;
        time->tv_nsec = 0;
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, clock, time);
}
