/**
 * The environment, read and written nowhere else in this package.
 *
 * Importing it switches off the telemetry of every tool that honours `DO_NOT_TRACK`, so it is
 * imported before any of them.
 */

process.env.DO_NOT_TRACK = '1';

/** What a Postgres server needs of our environment: nothing that configures a client or names a locale. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  const { PATH, SystemRoot, TEMP, TMP } = process.env;
  return { PATH, SystemRoot, TEMP, TMP, LC_ALL: 'C', TZ: 'UTC' };
}

/** What a program needs of a machine to run at all. */
const MACHINE = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'SystemRoot', 'TEMP', 'NODE_COMPILE_CACHE'] as const;

/** The machine's part of this process's environment: nothing that could be a secret or a setting. */
export function machineEnv(): Record<string, string> {
  return Object.fromEntries(
    MACHINE.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
