/* libmodbus server to measure beside ours: one client at a time, 1000 holding registers.
   cc -O2 modbus_peer.c $(pkg-config --cflags --libs libmodbus); argument: port on 127.0.0.1 */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_t *context = modbus_new_tcp("127.0.0.1", argc > 1 ? atoi(argv[1]) : 1502);
    modbus_mapping_t *mapping = modbus_mapping_new(0, 0, 1000, 1000);
    int listening = modbus_tcp_listen(context, 4);

    if (context == NULL || mapping == NULL || listening < 0) {
        fprintf(stderr, "%s\n", modbus_strerror(errno));
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (modbus_tcp_accept(context, &listening) >= 0) {
        int length;
        while ((length = modbus_receive(context, query)) >= 0)
            if (length > 0)
                modbus_reply(context, query, length, mapping);
    }
    return 0;
}
