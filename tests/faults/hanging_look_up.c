// Preloaded into a process of the function: its name look-ups never end, as if no name server responded.
#include <unistd.h>

int getaddrinfo(void) {
    for (;;) {
        pause();
    }
}
