/** Alerts: a test is told through each channel that is configured, and says that it is one. */
import { type Channel, channelsOf, type Notice } from '@revos/core/alerts';
import type { Context } from '../context.ts';
import { isSet, readAlerts } from '../env.ts';
import { type Finding, ok, skipped, warning, wrong } from '../finding.ts';

const VARIABLES = ['ALERT_WEBHOOK_URL', 'SLACK_WEBHOOK_URL'] as const;

const VARIABLE_OF: Readonly<Partial<Record<Channel['name'], string>>> = {
  webhook: 'ALERT_WEBHOOK_URL',
  slack: 'SLACK_WEBHOOK_URL',
};

export async function checkAlerts({ env, effects }: Context): Promise<Finding[]> {
  if (!VARIABLES.some((name) => isSet(env, name))) {
    const remedy = 'set SLACK_WEBHOOK_URL, or ALERT_WEBHOOK_URL with ALERT_WEBHOOK_SECRET';
    return isSet(env, 'SENTRY_DSN') ? [] : [warning('alerts', 'are told to nobody', remedy)];
  }
  const config = readAlerts(env);
  if (config === null) return [skipped('alerts', 'a variable of theirs is missing or malformed')];
  const notice = testNotice(effects.now());
  return Promise.all(
    channelsOf(config, null, { effects, fetch }).map(async (channel) => {
      const name = VARIABLE_OF[channel.name] ?? channel.name;
      const delivery = await channel.tell(notice);
      if (delivery.kind === 'delivered') return ok(name, 'takes alerts: a test was told');
      return wrong(name, `does not take alerts: ${delivery.error}`, 'take its address from there again');
    }),
  );
}

function testNotice(now: Date): Notice {
  const at = now.toISOString();
  return {
    event: 'opened',
    alert: {
      ...{ id: `test:${at}`, code: 'test', state: 'well', subjects: ['system'] },
      ...{ sentence: 'This is a test of the doctor: alerts arrive here.', why: null, what_to_do: null },
      ...{ since: at, opened_at: at, ended_at: null },
    },
  };
}
