/** What the doctor found, as lines for a terminal. */
import type { Examination } from './examine.ts';
import type { Level } from './finding.ts';

const MARKS: Readonly<Record<Level, string>> = {
  ok: 'ok     ',
  warning: 'LOOK   ',
  wrong: 'WRONG  ',
  skipped: '–      ',
};

export function reportText({ way, findings }: Examination): string {
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  const lines = findings.flatMap(({ level, what, found, do: remedy }) => [
    `${MARKS[level]}${what}: ${found}`,
    ...(remedy === null ? [] : [`         → ${remedy}`]),
  ]);
  const sums = [
    `${count('wrong')} wrong`,
    `${count('warning')} to look at`,
    ...(count('skipped') > 0 ? [`${count('skipped')} not checked`] : []),
  ];
  return [`The environment of a deployment that runs ${way}`, '', ...lines, '', `${sums.join(', ')}.`].join(
    '\n',
  );
}
