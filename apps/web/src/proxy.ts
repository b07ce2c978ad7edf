/**
 * Runs before every page: only who knows `OPS_TOKEN` sees one. Cron routes and the job API have
 * secrets of their own.
 */
import { EnvironmentError } from '@revos/core/config';
import { type NextRequest, NextResponse } from 'next/server';
import { readGateEnv, servesJobApi } from './env.ts';
import { entryOf } from './ops-gate.ts';

export const config = { matcher: ['/((?!api/cron/|_next/static/|icon\\.svg$|favicon\\.ico$).*)'] };

const CLOSED =
  'This dashboard is closed: OPS_TOKEN is not set, or has fewer than 16 characters.\n\n' +
  'Set it in the environment of the web app to one of the tokens that the jobs API has in OPS_TOKENS.\n';

const DENIED = 'Sign in with any user name; the password is the value of OPS_TOKEN.\n';

/** What the job API answers, where this app serves it. */
const JOB_API = /^\/(?:api\/|(?:health|ready)$)/;

export function proxy(request: NextRequest): NextResponse {
  if (JOB_API.test(request.nextUrl.pathname) && servesJobApi()) return NextResponse.next();
  switch (entryOf(request.headers.get('authorization'), opsToken())) {
    case 'open':
      return NextResponse.next();
    case 'denied':
      return answer(401, DENIED, { 'www-authenticate': 'Basic realm="RevOS jobs", charset="UTF-8"' });
    case 'closed':
      return answer(503, CLOSED);
  }
}

function opsToken(): string | undefined {
  try {
    return readGateEnv().OPS_TOKEN;
  } catch (error) {
    if (error instanceof EnvironmentError) return undefined;
    throw error;
  }
}

function answer(status: number, text: string, headers: Readonly<Record<string, string>> = {}): NextResponse {
  return new NextResponse(text, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers },
  });
}
