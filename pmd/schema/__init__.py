"""The contract in types: tables, reasons, statuses, exit codes and rules. Closed lists, each in one place."""
