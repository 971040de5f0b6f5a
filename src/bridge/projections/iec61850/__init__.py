"""The point table as an IEC 61850 server (MMS): typed logical nodes, data sets, reports, controls."""
