/** The version of the SQL functions that this code calls; `system_probe` answers the database's. */
export const SCHEMA_VERSION = 8;
