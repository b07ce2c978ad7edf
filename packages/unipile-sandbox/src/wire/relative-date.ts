/** LinkedIn's relative dates: `now`, `5m`, `3h`, `2d`, `1w`, `4mo`, `1yr`. */

const UNITS = [
  ['yr', 31_536_000_000],
  ['mo', 2_592_000_000],
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
] as const;

export function relativeDate(at: Date, now: Date): string {
  const ageMs = now.getTime() - at.getTime();
  const unit = UNITS.find(([, sizeMs]) => ageMs >= sizeMs);
  return unit === undefined ? 'now' : `${Math.floor(ageMs / unit[1])}${unit[0]}`;
}
