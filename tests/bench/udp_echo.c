/*
 * A datagram in and the same out, with select() before each as bacserv has it: the least a UDP server can take on the
 * machine and at the moment of the benchmark. Prints its port.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/select.h>
#include <sys/socket.h>

int main(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    char octets[2048];

    if (bind(fd, (struct sockaddr *)&at, sizeof at) || getsockname(fd, (struct sockaddr *)&at, &size))
        return 1;
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        fd_set ready;
        struct timeval wait = {1, 0};
        FD_ZERO(&ready);
        FD_SET(fd, &ready);
        if (select(fd + 1, &ready, 0, 0, &wait) < 1)
            continue;
        size = sizeof at;
        ssize_t count = recvfrom(fd, octets, sizeof octets, 0, (struct sockaddr *)&at, &size);
        if (count > 0)
            sendto(fd, octets, count, 0, (struct sockaddr *)&at, size);
    }
}
