/* Reads what stdin asks for with libmodbus and prints it: "TABLE UNIT ADDRESS COUNT" (TABLE: 1 2 3 4) per line in,
   one line of decimal numbers per line out, or "error NUMBER" with the errno of libmodbus. Argument: port. */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    uint16_t words[MODBUS_MAX_READ_REGISTERS];
    uint8_t bits[MODBUS_MAX_READ_BITS];
    int table, unit, address, count;
    modbus_t *context = modbus_new_tcp("127.0.0.1", argc > 1 ? atoi(argv[1]) : 502);

    if (context == NULL || modbus_connect(context) < 0)
        return 1;
    modbus_set_response_timeout(context, 5, 0);
    while (scanf("%d %d %d %d", &table, &unit, &address, &count) == 4) {
        int got;
        modbus_set_slave(context, unit);
        if (table == 1)
            got = modbus_read_bits(context, address, count, bits);
        else if (table == 2)
            got = modbus_read_input_bits(context, address, count, bits);
        else if (table == 3)
            got = modbus_read_registers(context, address, count, words);
        else
            got = modbus_read_input_registers(context, address, count, words);
        if (got < 0)
            printf("error %d", errno - MODBUS_ENOBASE);
        for (int i = 0; i < got; i++)
            printf(i ? " %u" : "%u", table <= 2 ? bits[i] : words[i]);
        printf("\n");
        fflush(stdout);
    }
    modbus_close(context);
    modbus_free(context);
    return 0;
}
