/* A module for snmpd (dlmod): the point table of the benchmark, 1000 rows of 8 columns, to measure beside ours.
   cc -O2 -shared -fPIC snmp_peer.c $(net-snmp-config --cflags) -o snmp_peer.so */
#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <net-snmp/agent/net-snmp-agent-includes.h>
#include <net-snmp/agent/table_container.h>
#include <stdio.h>
#include <string.h>

#define DEVICES 20
#define POINTS 50

typedef struct {
    netsnmp_index index;
    oid suffix[2];
} row_t;

static row_t rows[DEVICES * POINTS];

static void answer(netsnmp_variable_list *bind, int column, const row_t *row) {
    char text[64];
    long number = (long)(row->suffix[0] * 1000 + row->suffix[1]);
    struct counter64 count;

    switch (column) {
    case 2:
        snprintf(text, sizeof text, "active_power_l%lu", (unsigned long)row->suffix[1]);
        snmp_set_var_typed_value(bind, ASN_OCTET_STR, text, strlen(text));
        return;
    case 4:
        snprintf(text, sizeof text, "%ld.25", number);
        snmp_set_var_typed_value(bind, ASN_OCTET_STR, text, strlen(text));
        return;
    case 7:
        snmp_set_var_typed_value(bind, ASN_OCTET_STR, "kW", 2);
        return;
    case 9:
        snmp_set_var_typed_value(bind, ASN_OCTET_STR, "\0\0", 2);
        return;
    case 11:
        count.high = 1;
        count.low = (u_long)number;
        snmp_set_var_typed_value(bind, ASN_COUNTER64, &count, sizeof count);
        return;
    case 12:
        snmp_set_var_typed_integer(bind, ASN_TIMETICKS, 0);
        return;
    default:
        snmp_set_var_typed_integer(bind, ASN_INTEGER, column == 5 ? number : 1);
    }
}

static int handle(netsnmp_mib_handler *handler, netsnmp_handler_registration *registration,
                  netsnmp_agent_request_info *info, netsnmp_request_info *requests) {
    static const char served[16] = {0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0};

    (void)handler;
    (void)registration;
    if (info->mode != MODE_GET)
        return SNMP_ERR_NOERROR;
    for (; requests != NULL; requests = requests->next) {
        netsnmp_table_request_info *table = netsnmp_extract_table_info(requests);
        row_t *row = (row_t *)netsnmp_container_table_row_extract(requests);
        if (requests->processed)
            continue;
        if (row == NULL || table == NULL || table->colnum > 12 || !served[table->colnum])
            netsnmp_set_request_error(info, requests, SNMP_NOSUCHINSTANCE);
        else
            answer(requests->requestvb, (int)table->colnum, row);
    }
    return SNMP_ERR_NOERROR;
}

void init_snmp_peer(void) {
    static oid root[] = {1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 7411, 1, 1, 3};
    netsnmp_table_registration_info *table = SNMP_MALLOC_TYPEDEF(netsnmp_table_registration_info);
    netsnmp_container *container = netsnmp_container_find("bench:table_container");
    netsnmp_handler_registration *registration =
        netsnmp_create_handler_registration("bench", handle, root, OID_LENGTH(root), HANDLER_CAN_RONLY);

    netsnmp_table_helper_add_indexes(table, ASN_UNSIGNED, ASN_UNSIGNED, 0);
    table->min_column = 2;
    table->max_column = 12;
    for (int at = 0; at < DEVICES * POINTS; at++) {
        rows[at].suffix[0] = 1 + at / POINTS;
        rows[at].suffix[1] = 1 + at % POINTS;
        rows[at].index.len = 2;
        rows[at].index.oids = rows[at].suffix;
        CONTAINER_INSERT(container, &rows[at]);
    }
    netsnmp_container_table_register(registration, table, container, TABLE_CONTAINER_KEY_NETSNMP_INDEX);
}
