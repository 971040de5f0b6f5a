// A Modbus RTU device on a pseudo-terminal that sends at line pace: each byte leaves when its last bit would.
//
//   paced LINK BAUD BITS TURNAROUND_MS CHUNK
//
// LINK leads to the master's end. CHUNK: bytes the receiving port holds back (1 = none, 14 = FIFO of a 16550).
// SIGUSR1 prints "requests violations" and starts again at 0; a violation is a request that begins less than 3.5
// characters after the last byte of the reply before it (Modbus over Serial Line V1.02, 2.5.1.1).
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

typedef long long ns;

static volatile sig_atomic_t asked_for_figures;

static void on_signal(int number) {
    (void)number;
    asked_for_figures = 1;
}

static ns now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until(ns at) {
    struct timespec t = {at / 1000000000LL, at % 1000000000LL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static unsigned crc(const unsigned char *data, int length) {
    unsigned value = 0xFFFF;
    for (int at = 0; at < length; at++) {
        value ^= data[at];
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? (value >> 1) ^ 0xA001 : value >> 1;
    }
    return value;
}

// Answer FC03: register value = address * 7919. Return the length of the reply, 0 for no reply.
static int answer(const unsigned char *request, unsigned char *reply) {
    unsigned address = request[2] << 8 | request[3], count = request[4] << 8 | request[5];
    if (crc(request, 8) || request[1] != 3 || count < 1 || count > 125)
        return 0;
    reply[0] = request[0];
    reply[1] = 3;
    reply[2] = 2 * count;
    for (unsigned at = 0; at < count; at++) {
        unsigned value = (address + at) * 7919u & 0xFFFF;
        reply[3 + 2 * at] = value >> 8;
        reply[4 + 2 * at] = value;
    }
    int length = 3 + 2 * count;
    unsigned check = crc(reply, length);
    reply[length] = check;
    reply[length + 1] = check >> 8;
    return length + 2;
}

static void send_paced(int line, const unsigned char *reply, int length, ns start, ns character, int chunk) {
    for (int at = 0; at < length; at += chunk) {
        int size = length - at < chunk ? length - at : chunk;
        // a FIFO that is not full gives up waiting after four characters
        ns held = chunk > 1 && size < chunk ? 4 * character : 0;
        sleep_until(start + (at + size) * character + held);
        if (write(line, reply + at, size) != size)
            exit(1);
    }
}

int main(int count, char **argument) {
    if (count != 6)
        return 2;
    double baud = atof(argument[2]), bits = atof(argument[3]);
    ns character = (ns)(1e9 * bits / baud), turnaround = (ns)(1e6 * atof(argument[4]));
    ns quiet = baud > 19200 ? 1750000 : (ns)(3.5 * character);
    int chunk = atoi(argument[5]), line, other;
    struct termios raw;
    struct sigaction action = {.sa_handler = on_signal};
    struct sched_param priority = {.sched_priority = 20};
    sigaction(SIGUSR1, &action, NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    sched_setscheduler(0, SCHED_FIFO, &priority);
    if (openpty(&line, &other, NULL, NULL, NULL) || tcgetattr(other, &raw))
        return 1;
    cfmakeraw(&raw);
    if (tcsetattr(other, TCSANOW, &raw) || symlink(ttyname(other), argument[1]))
        return 1;
    unsigned char request[512], reply[512];
    int have = 0;
    long requests = 0, violations = 0;
    ns last = 0;
    for (;;) {
        if (asked_for_figures) {
            asked_for_figures = 0;
            printf("%ld %ld\n", requests, violations);
            fflush(stdout);
            requests = violations = 0;
            last = 0;
        }
        struct pollfd ready = {line, POLLIN, 0};
        if (poll(&ready, 1, 1000) <= 0)
            continue;
        int got = read(line, request + have, sizeof request - have);
        ns begun = now();
        if (got <= 0)
            continue;
        have += got;
        if (have < 8)
            continue;
        have = 0;
        requests++;
        violations += last && begun - last < quiet;
        int length = answer(request, reply);
        ns start = begun + 8 * character + turnaround;
        send_paced(line, reply, length, start, character, chunk);
        last = start + length * character;
    }
}
