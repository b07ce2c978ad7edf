/** The variables that name who is told of alerts, as every app reads them. It brings none of what tells. */
import Type, { type Static, type TObject } from 'typebox';
import { commaSeparated, isSafeAddress } from '../config/index.ts';
import { areSigningSecrets } from '../signing/index.ts';

const Secrets = Type.Refine(Type.String(), areSigningSecrets);

export const channelVariables = {
  ALERT_WEBHOOK_URL: Type.Optional(Type.Refine(Type.String(), isSafeAddress)),
  ALERT_WEBHOOK_SECRET: Type.Optional(Secrets),
  SLACK_WEBHOOK_URL: Type.Optional(Type.Refine(Type.String(), isSafeAddress)),
};
const ChannelsEnv: TObject<typeof channelVariables> = Type.Object(channelVariables);

/** What is needed besides: a webhook that is not signed could be anybody's. */
export const neededForChannels = (source: Readonly<Record<string, string | undefined>>) =>
  source.ALERT_WEBHOOK_URL?.trim() ? { ALERT_WEBHOOK_SECRET: Secrets } : {};

export interface ChannelsConfig {
  readonly webhook: {
    readonly url: string;
    /** `whsec_…`; each of them signs. */
    readonly secrets: readonly string[];
  } | null;
  readonly slackUrl: string | null;
}

export function channelsConfigOf(env: Static<typeof ChannelsEnv>): ChannelsConfig {
  const { ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: secrets = '', SLACK_WEBHOOK_URL } = env;
  return {
    webhook: url === undefined ? null : { url, secrets: commaSeparated(secrets) },
    slackUrl: SLACK_WEBHOOK_URL ?? null,
  };
}
