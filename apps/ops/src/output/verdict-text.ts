/** The verdict in lines: its sentence first. It is said as the API says it. Pure. */
import type { Finding, Verdict } from '../shapes.ts';
import { instant, onOneLine } from './words.ts';

export function verdictText(verdict: Verdict): string[] {
  return [
    onOneLine(verdict.sentence),
    ...detailsOf(verdict),
    ...verdict.also.flatMap((finding) => [`Also: ${onOneLine(finding.sentence)}`, ...detailsOf(finding)]),
  ];
}

function detailsOf({ since, why, what_to_do }: Finding): string[] {
  return [
    ...(since === null ? [] : [`  Since ${instant(since)}`]),
    ...(why === null ? [] : [`  ${onOneLine(why)}`]),
    ...(what_to_do === null ? [] : [`  What to do: ${onOneLine(what_to_do)}`]),
  ];
}
