/**
 * The doctor: looks at an environment and says, line by line, what is right, what is wrong, and what to do.
 *
 * It changes nothing, starts nothing, and sends nothing but a test to those who are told of alerts.
 * Its checks go on side by side, each within its time.
 */
import { type Effects, realEffects, within } from '@revos/core/effects';
import { CHECKS, type NamedCheck } from './checks/index.ts';
import { type Context, createContext } from './context.ts';
import { type Environment, type Way, wayOf } from './env.ts';
import { type Finding, wrong } from './finding.ts';
import { secretsOf } from './variables.ts';

/** Of one check, in milliseconds, with what it waits for. */
const CHECK_MS_MAX = 20_000;

/** Of letting go of what was opened. */
const CLOSE_MS_MAX = 2_000;

export interface Examination {
  /** Whether nothing is wrong. */
  readonly ok: boolean;
  readonly way: Way;
  readonly findings: readonly Finding[];
}

export interface ExamineOptions {
  /** Default: what the environment is made for. */
  readonly way?: Way | undefined;
  readonly effects?: Effects;
}

export async function examine(env: Environment, options: ExamineOptions = {}): Promise<Examination> {
  const { way = wayOf(env), effects = realEffects } = options;
  const context = createContext(way, env, effects);
  const found = await Promise.all(CHECKS.map((check) => carryOut(check, context)));
  await within(effects, CLOSE_MS_MAX, context.close(), () => {});
  const secrets = secretsOf(env);
  const findings = found.flat().map((finding) => withoutSecrets(finding, secrets));
  return { ok: findings.every(({ level }) => level !== 'wrong'), way, findings };
}

async function carryOut({ name, check }: NamedCheck, context: Context): Promise<Finding[]> {
  const late = (): Finding[] => [
    wrong(
      name,
      `was not done within ${CHECK_MS_MAX / 1_000} s`,
      'run the doctor again, nearer to the services',
    ),
  ];
  try {
    return await within(context.effects, CHECK_MS_MAX, check(context), late);
  } catch (error) {
    // A bug of this check: the others are told all the same.
    const failure = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
    return [wrong(name, `could not be checked: ${failure}`, 'this is a bug of the doctor: report it')];
  }
}

/** Findings are written without any; what a service said of one is cut out here. */
function withoutSecrets(finding: Finding, secrets: readonly string[]): Finding {
  const cut = (text: string): string => secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text);
  return { ...finding, found: cut(finding.found), do: finding.do === null ? null : cut(finding.do) };
}
