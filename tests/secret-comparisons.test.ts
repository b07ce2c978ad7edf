/**
 * A secret is compared by `isSameSecret` and in no other way: `===` tells by its time how much of a
 * guess is right.
 *
 * Read from the source of whatever takes requests. What compares the configuration with itself
 * (`env.ts`) takes none.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const sources = globSync(['apps/{web,jobs-api}/src/**/*.{ts,tsx}', 'packages/core/src/signing/*.ts'], {
  cwd: ROOT,
})
  .filter((file) => path.basename(file) !== 'env.ts')
  .sort();

const codeOf = (file: string): string =>
  readFileSync(path.join(ROOT, file), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '');

const SECRET = String.raw`[\w.?()[\]]*(?:secret|token|password|passphrase|authorization|credential|signature|apikey)s?\b`;
/** What is no secret itself: the absence of one, a length, a kind. */
const PLAIN = String.raw`(?:''|""|null|undefined|true|false|\d|'string'|"string")`;

const COMPARISONS = [
  new RegExp(String.raw`\b${SECRET}\s*[!=]==?(?!=)(?!\s*${PLAIN})`, 'i'),
  new RegExp(String.raw`(?<!${PLAIN}\s*|[!=])[!=]==?\s*${SECRET}(?!\.(?:kind|length))`, 'i'),
  new RegExp(
    String.raw`\.(?:includes|indexOf|has|get|startsWith|endsWith|equals|compare|localeCompare)\(\s*${SECRET}`,
    'i',
  ),
  new RegExp(String.raw`\bcase\s+${SECRET}`, 'i'),
  /timingSafeEqual|\.verify\(/,
];

const comparesSecret = (line: string): boolean => COMPARISONS.some((pattern) => pattern.test(line));

describe('the comparison of secrets', () => {
  it.each([
    'if (token === expected) return true;',
    'return given !== env.CRON_SECRET;',
    'if (expected === request.headers.authorization) open();',
    'return tokens.includes(token);',
    'if (known.has(given.password)) return;',
    'case OPS_TOKEN:',
    "if (authorization.startsWith(env.jobSecret)) return 'open';",
    'return signature == computed;',
    'const isSame = timingSafeEqual(a, b);',
    'new Webhook(secret).verify(body, headers);',
  ])('would be seen in: %s', (line) => {
    expect(comparesSecret(line)).toBe(true);
  });

  it.each([
    "if (token === undefined || token === '') return 'closed';",
    "if ('' !== token && null == password) return;",
    "if (typeof value !== 'string') throw new SignatureError('malformed', name);",
    'if (matches.includes(true)) return;',
    'if (!secret.startsWith(PREFIX)) return false;',
  ])('is none in: %s', (line) => {
    expect(comparesSecret(line)).toBe(false);
  });

  it('is one function, of constant time', () => {
    expect(sources.length).toBeGreaterThan(50);
    const found = sources.flatMap((file) =>
      codeOf(file)
        .split('\n')
        .filter(comparesSecret)
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(found).toEqual([
      "packages/core/src/signing/tokens.ts: import { createHash, timingSafeEqual } from 'node:crypto';",
      'packages/core/src/signing/tokens.ts: return timingSafeEqual(digest(given), digest(expected));',
    ]);
  });

  it('is what each door stands on', () => {
    const doors = [
      'apps/jobs-api/src/plugins/auth.ts',
      'apps/jobs-api/src/plugins/basic-auth.ts',
      'apps/jobs-api/src/plugins/metrics-page.ts',
      'apps/web/src/cron/answer-cron.ts',
      'apps/web/src/ops-gate.ts',
      'packages/core/src/signing/trigger.ts',
    ];
    expect(doors.filter((door) => !/\b(?:isSameSecret|nameOfToken)\(/.test(codeOf(door)))).toEqual([]);
  });
});
