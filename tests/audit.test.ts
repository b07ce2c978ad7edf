/**
 * The audit's verdict, and the audit itself through pnpm and a registry that has advisories, or
 * none, or no answer.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuditReport, EXIT, type Exception, judge } from '../scripts/audit.ts';

const AUDIT = path.resolve(import.meta.dirname, '../scripts/audit.ts');
const TODAY = '2026-11-25';

const reportOf = (severity: string, totalDependencies = 200): AuditReport => ({
  advisories: {
    '1': {
      github_advisory_id: 'GHSA-aaaa-bbbb-cccc',
      module_name: 'pino',
      severity,
      title: 'Bad',
      patched_versions: '>=11',
      findings: [{ version: '10.4.0', paths: ['packages__core>pino'] }],
    },
  },
  metadata: { totalDependencies },
});

const exception = (change: Partial<Exception> = {}): Exception => ({
  advisory: 'GHSA-aaaa-bbbb-cccc',
  reason: 'The part that is affected is not used here.',
  until: '2026-12-31',
  ...change,
});

describe('judge', () => {
  it.each([
    { severity: 'critical', problems: 1 },
    { severity: 'high', problems: 1 },
    { severity: 'moderate', problems: 0 },
    { severity: 'low', problems: 0 },
  ])('$severity is $problems problem(s)', ({ severity, problems }) => {
    const verdict = judge(reportOf(severity), [], TODAY);
    expect(verdict.problems).toHaveLength(problems);
    expect([...verdict.problems, ...verdict.notes]).toEqual([
      `${severity} GHSA-aaaa-bbbb-cccc in pino 10.4.0: Bad (fixed in >=11; by packages/core>pino)`,
    ]);
  });

  it.each([
    { name: 'until its last day', change: { until: TODAY }, problem: null },
    { name: 'for ninety days', change: { until: '2027-02-23' }, problem: null },
    { name: 'for longer', change: { until: '2027-02-24' }, problem: /for more than 90 days/ },
    { name: 'a day too old', change: { until: '2026-11-24' }, problem: /was over on 2026-11-24/ },
    { name: 'without a day', change: { until: 'never' }, problem: /has no day/ },
    { name: 'without a reason', change: { reason: ' ' }, problem: /has no reason/ },
    {
      name: 'of something else',
      change: { advisory: 'GHSA-dddd-eeee-ffff' },
      problem: /about nothing that is installed/,
    },
  ])('an exception $name', ({ change, problem }) => {
    const { problems } = judge(reportOf('high'), [exception(change)], TODAY);
    // One that does not hold is a problem by itself, beside the one that it was for.
    expect(problems).toHaveLength(problem === null ? 0 : 2);
    if (problem !== null) expect(problems[1]).toMatch(problem);
  });

  it('an audit of nothing is no success', () => {
    const report = { ...reportOf('low', 0), advisories: {} };
    expect(judge(report, [], TODAY).problems).toEqual(['the audit looked at no dependency']);
  });
});

describe('the script', () => {
  let registry: Server;
  let answer: { status: number; body: object };

  beforeAll(async () => {
    registry = createServer((request, response) => {
      request.resume();
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer.body));
    });
    registry.listen(0, '127.0.0.1');
    await once(registry, 'listening');
  });
  afterAll(() => registry.close());

  function audit(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const { port } = registry.address() as AddressInfo;
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [AUDIT, '--registry', `http://127.0.0.1:${port}/`, ...args],
        (error, stdout, stderr) => {
          resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
        },
      );
    });
  }

  it('fails by an advisory that the registry has for the lockfile', async () => {
    const advisory = {
      id: 1,
      url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc',
      title: 'Bad',
      severity: 'high',
      vulnerable_versions: '<99',
      cwe: [],
      cvss: { score: 7, vectorString: null },
    };
    answer = { status: 200, body: { fastify: [advisory] } };
    const { code, stderr } = await audit();
    expect(stderr).toMatch(/high GHSA-aaaa-bbbb-cccc in fastify \d/);
    expect(code).toBe(EXIT.problems);
  });

  it('succeeds where the registry has none', async () => {
    answer = { status: 200, body: {} };
    const { code, stdout, stderr } = await audit();
    expect(code, stderr).toBe(EXIT.clean);
    expect(stdout).toMatch(/^\d{3} dependencies of production/);
  });

  it('says that nothing was audited where the registry does not answer, and fails unless told otherwise', async () => {
    answer = { status: 405, body: {} };
    const strict = await audit();
    expect(strict).toMatchObject({ code: EXIT.notAudited, stderr: expect.stringContaining('NOT AUDITED') });
    const lenient = await audit('--unless-unreachable');
    expect(lenient).toMatchObject({ code: EXIT.clean, stderr: expect.stringContaining('NOT AUDITED') });
  });
});
