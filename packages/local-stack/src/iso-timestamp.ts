/** `2026-11-24 10:00:00+00`, as Postgres prints it, in the form of its JSON: `2026-11-24T10:00:00+00:00`. */
export function isoTimestamp(printed: string): string {
  return printed.replace(/^(\d+-\d\d-\d\d) /, '$1T').replace(/(:\S*[+-]\d\d)$/, '$1:00');
}
