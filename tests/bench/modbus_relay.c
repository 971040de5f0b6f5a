/* A gateway made of libmodbus, to measure beside ours: one client at a time, one line, no policy, no silence kept
   between frames. cc -O2 modbus_relay.c $(pkg-config --cflags --libs libmodbus); arguments: port on 127.0.0.1, line,
   baud. */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 7, UNIT_AT = 6, CRC = 2 };

static int relay(modbus_t *tcp, modbus_t *line) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH], frame[MODBUS_RTU_MAX_ADU_LENGTH], reply[MODBUS_TCP_MAX_ADU_LENGTH];
    int length = modbus_receive(tcp, query);

    if (length <= 0)
        return length;
    modbus_set_slave(line, query[UNIT_AT]);
    modbus_flush(line);
    if (modbus_send_raw_request(line, query + UNIT_AT, length - UNIT_AT) < 0)
        return -1;
    length = modbus_receive_confirmation(line, frame);
    if (length < 4)
        return -1;
    memcpy(reply, query, HEADER);
    length -= CRC;
    reply[4] = (uint8_t)(length >> 8);
    reply[5] = (uint8_t)length;
    memcpy(reply + UNIT_AT, frame, (size_t)length);
    return (int)write(modbus_get_socket(tcp), reply, (size_t)(length + UNIT_AT));
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    modbus_t *tcp = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    modbus_t *line = modbus_new_rtu(argv[2], atoi(argv[3]), 'N', 8, 1);
    int listening = modbus_tcp_listen(tcp, 4);

    if (line == NULL || listening < 0 || modbus_connect(line) < 0) {
        fprintf(stderr, "%s\n", modbus_strerror(errno));
        return 1;
    }
    modbus_set_response_timeout(line, 2, 0);
    puts("ready");
    fflush(stdout);
    while (modbus_tcp_accept(tcp, &listening) >= 0)
        while (relay(tcp, line) >= 0)
            ;
    return 0;
}
